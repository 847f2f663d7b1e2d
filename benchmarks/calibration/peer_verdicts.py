"""Which columns each peer reports as drifted, at its defaults."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.calibration.environments import call_peer
from workers.drift.multiplicity import benjamini_hochberg

Values = NDArray[np.float32]
Flags = NDArray[np.bool_]

_Q = 0.05

_EVIDENTLY = """
import json, sys
import numpy as np, pandas as pd
from importlib.metadata import version
from evidently import Report
from evidently.presets import DataDriftPreset
a, b = (pd.DataFrame(np.load(path)).add_prefix("f") for path in sys.argv[1:3])
found = Report([DataDriftPreset()]).run(current_data=b, reference_data=a).dict()
drifted = [False] * a.shape[1]
for metric in found["metrics"]:
    config = metric["config"]
    if "column" in config:
        value, threshold = float(metric["value"]), config["threshold"]
        small = "p_value" in config["method"]
        drifted[int(config["column"][1:])] = value < threshold if small else value >= threshold
print(json.dumps({"drifted": drifted, "version": version("evidently")}))
"""

_NANNYML = """
import json, sys
import numpy as np, pandas as pd
import nannyml
a, b = (pd.DataFrame(np.load(path)).add_prefix("f") for path in sys.argv[1:3])
calculator = nannyml.UnivariateDriftCalculator(column_names=list(a.columns)).fit(a)
found = calculator.calculate(b).filter(period="analysis").to_df()
alerts = [found[c].xs("alert", axis=1, level=-1).to_numpy().any() for c in a.columns]
print(json.dumps({"drifted": [bool(x) for x in alerts], "version": nannyml.__version__}))
"""


def evidently(a: Values, b: Values) -> tuple[str, Flags]:
    """`DataDriftPreset`."""
    return _external("evidently", "Evidently", _EVIDENTLY, a, b)


def nannyml(a: Values, b: Values) -> tuple[str, Flags]:
    """`UnivariateDriftCalculator`: an alert in any of its ten chunks."""
    return _external("nannyml", "NannyML", _NANNYML, a, b)


def kolmogorov_smirnov(a: Values, b: Values) -> tuple[str, Flags]:
    """scipy's two-sample test of each column, Benjamini–Hochberg at 5%."""
    p = [stats.ks_2samp(x, y, method="asymp").pvalue for x, y in zip(a.T, b.T, strict=True)]
    return "scipy KS + BH", benjamini_hochberg(np.array(p)) <= _Q


def paired_t(a: Values, b: Values) -> tuple[str, Flags]:
    """scipy's paired t test over tokens, Benjamini–Hochberg at 5%."""
    with np.errstate(divide="ignore", invalid="ignore"):
        p = stats.ttest_rel(b.astype(float), a.astype(float), axis=0).pvalue
    # No difference anywhere has no t; nobody would call that drift.
    return "scipy paired t + BH", benjamini_hochberg(np.nan_to_num(p, nan=1.0)) <= _Q


PEERS: Mapping[str, Callable[[Values, Values], tuple[str, Flags]]] = {
    "Evidently": evidently,
    "NannyML": nannyml,
    "scipy KS": kolmogorov_smirnov,
    "scipy paired t": paired_t,
}


def _external(name: str, title: str, script: str, a: Values, b: Values) -> tuple[str, Flags]:
    with tempfile.TemporaryDirectory(prefix="featuredrift-peers-") as folder:
        paths = [str(Path(folder) / f"{side}.npy") for side in "ab"]
        for path, values in zip(paths, (a, b), strict=True):
            np.save(path, values.astype(np.float64))
        found = call_peer(name, script, *paths)
    return f"{title} {found['version']}", np.array(found["drifted"], bool)
