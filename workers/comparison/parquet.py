"""The columnar artifact: one row per feature of a whole dictionary."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from workers.drift.policy import ESTIMANDS
from workers.drift.verdicts import VerdictTable


def write_parquet(verdicts: VerdictTable) -> bytes:
    """All verdicts as a Parquet file; null where there is no such number.

    Per feature: name, verdict, change, leading estimand, p and q, counts, AUROC; and per estimand
    effect, lower, upper, se, df, margin, margin source, p_drifted and p_stable.
    """
    activity = verdicts.activity
    changes = [verdicts.change_of(i) for i in range(len(verdicts))]
    columns: dict[str, pa.Array] = {
        "feature": pa.array(verdicts.names, pa.string()),
        "verdict": pa.array(verdicts.verdict.tolist(), pa.string()),
        "change": pa.array([c[0] if c else None for c in changes], pa.string()),
        "changes": pa.array([list(c) for c in changes], pa.list_(pa.string())),
        "estimand": pa.array(
            [ESTIMANDS[i] if i >= 0 else None for i in verdicts.leading], pa.string()
        ),
        "excess": _numbers(verdicts.excess),
        "p_drifted": _numbers(verdicts.p_drifted),
        "p_stable": _numbers(verdicts.p_stable),
        "q_drifted": _numbers(verdicts.q_drifted),
        "q_stable": _numbers(verdicts.q_stable),
        "g_active": pa.array(activity.active_clusters, pa.int64()),
        "n_documents": pa.array(activity.clusters, pa.int64()),
        "n_tokens": pa.array(activity.tokens, pa.int64()),
        "firing_ratio_baseline": _numbers(activity.firing_a),
        "firing_ratio_candidate": _numbers(activity.firing_b),
        "sign_test_p": _numbers(activity.sign_test_p),
        "concept_auroc_baseline": _numbers(verdicts.auroc_a),
        "concept_auroc_candidate": _numbers(verdicts.auroc_b),
    }
    for estimand, found in verdicts.inference.items():
        known = found.known
        limits = dict(zip(("lower", "upper"), verdicts.limits(estimand), strict=True))
        for name in ("effect", "lower", "upper", "se", "df", "margin", "p_drifted", "p_stable"):
            values = limits[name] if name in limits else getattr(found, name)
            columns[f"{estimand}_{name}"] = _numbers(np.where(known, values, np.nan))
        columns[f"{estimand}_margin_source"] = pa.array(
            found.margin_source, pa.string(), mask=~known
        )
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer, compression="zstd")
    return buffer.getvalue()


def _numbers(values: NDArray[np.float64]) -> pa.Array:
    return pa.array(values, pa.float64(), from_pandas=True)
