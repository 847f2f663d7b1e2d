"""How often a change of 1.5, 2 or 3 margins is found."""

from dataclasses import dataclass

import numpy as np

from benchmarks.calibration import dense
from benchmarks.calibration.size import Size
from benchmarks.calibration.synthetic import Truth, binomial_gamma, document_lengths
from benchmarks.calibration.table import Row, Table, percent
from benchmarks.calibration.verdicts import judged, judged_dense, seeds, spread
from workers.drift.policy import Policy

TITLE = "Power"
HOW = (
    "Share of changed features that are called `drifted`, in comparisons of {features} features of "
    "which a fifth have changed and the others not. `lost`: the rate falls by that many margins "
    "(identity changes with it). `magnitude`, and `moved` (it fires as often, on other tokens), "
    "`shift` and `scale` of dense features: that effect alone. Most features at a firing rate of "
    "0.1% in 50 documents are `insufficient`. No limit is set: power is what the data allow."
)
LEVELS = (1.5, 2.0, 3.0)
SPARSE_KINDS = ("lost", "magnitude", "moved")
DENSE_KINDS = ("shift", "scale")
_FEATURES = 100


@dataclass(frozen=True)
class Cell:
    """What a comparison is drawn from."""

    kind: str
    firing: float | None
    documents: int
    level: float


def run(size: Size, seed: int, processes: int = 1) -> Table:
    """All kinds of change over firing rates and numbers of documents."""
    cells = [
        Cell(kind, firing, documents, level)
        for kinds, rates in ((SPARSE_KINDS, size.firing), (DENSE_KINDS, (None,)))
        for kind in kinds
        for firing in rates
        for documents in size.documents
        for level in LEVELS
    ]
    sets = max(size.power_features // (_FEATURES // 5), 1)
    tasks = [
        (cell, stream)
        for cell in cells
        for stream in seeds(seed, f"power {cell.kind} {cell.firing} {cell.documents}", sets)
    ]
    found: dict[Cell, list[tuple[int, int, int]]] = {}
    for (cell, _), result in zip(tasks, spread(one_set, tasks, processes), strict=True):
        found.setdefault(cell, []).append(result)
    rows = []
    for kind, firing, documents in dict.fromkeys((c.kind, c.firing, c.documents) for c in cells):
        shares, unjudged = [], 0.0
        for level in LEVELS:
            results = found[Cell(kind, firing, documents, level)]
            hit, insufficient, total = (sum(r[i] for r in results) for i in range(3))
            unjudged = max(unjudged, insufficient / total)
            shares.append(percent(hit / total))
        rate = "" if firing is None else f", firing {firing:.1%}"
        others = (*shares[1:], percent(unjudged) if unjudged else "")
        rows.append(Row(f"{kind}{rate}, {documents} documents", "", shares[0], "shown", others))
    first, *more = (f"{level:g} margins" for level in LEVELS)
    how = HOW.format(features=_FEATURES)
    return Table(TITLE, how, rows, first, (*more, "`insufficient`, at most"))


def one_set(task: tuple[Cell, np.random.SeedSequence]) -> tuple[int, int, int]:
    """Of the changed features: found, insufficient, all."""
    cell, stream = task
    rng, policy = np.random.default_rng(stream), Policy()
    tokens = document_lengths(rng, cell.documents)
    changed = np.arange(_FEATURES) < _FEATURES // 5
    level = np.where(changed, cell.level, 0.0)
    none = np.zeros(_FEATURES)
    if cell.firing is None:
        sign = rng.choice([-1.0, 1.0], _FEATURES)
        shift = sign * level * policy.shift if cell.kind == "shift" else none
        scale = sign * level * policy.scale if cell.kind == "scale" else none
        identity = dense.least_identity(shift, scale) + 0.01
        truth = dense.with_effects(shift, scale, identity, rng.uniform(0.02, 0.3, _FEATURES))
        table = judged_dense(policy, dense.dense_sums_of(rng, tokens, truth))
    else:
        table = judged(policy, binomial_gamma(rng, tokens, _truth(cell, level, rng, policy)))
    verdicts = table.verdict[changed]
    return (
        int((verdicts == "drifted").sum()),
        int((verdicts == "insufficient").sum()),
        int(changed.sum()),
    )


def _truth(cell: Cell, level: np.ndarray, rng: np.random.Generator, policy: Policy) -> Truth:
    none, small = np.zeros(_FEATURES), np.full(_FEATURES, 0.01)
    lost = 1 - np.exp(-level * policy.rate) if cell.kind == "lost" else none
    moved = level * policy.identity_sparse / 2 if cell.kind == "moved" else none
    sign = rng.choice([-1.0, 1.0], _FEATURES)
    return Truth(
        firing=np.full(_FEATURES, cell.firing),
        lost=np.maximum(lost + moved, small),
        gained=np.maximum(moved, small),
        magnitude=sign * level * policy.magnitude if cell.kind == "magnitude" else none,
    )
