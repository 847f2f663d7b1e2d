"""Coverage of the 95% intervals, for every estimand."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.calibration import concepts, dense, variants
from benchmarks.calibration.size import Size
from benchmarks.calibration.synthetic import Truth, binomial_gamma, bursts, document_lengths
from benchmarks.calibration.table import Row, Table, clopper_pearson, percent
from benchmarks.calibration.verdicts import judged, judged_dense, seeds, spread
from workers.drift.inference import Inference, infer
from workers.drift.policy import SPARSE_ESTIMANDS, Estimand, Policy

TITLE = "Coverage of 95% intervals"
HOW = (
    "Each feature has its own truth, firing rate (within a factor of 1.3), spread between "
    "documents and direction of change, so that no two variances are alike by construction. A cell "
    "passes where its exact binomial interval meets 93% to 97%. The service gives no interval for "
    "an effect that fewer than 50 documents bear on (in which the feature is active, or that carry "
    "its concept); what such intervals would have covered is shown beside, and shows why."
)
BAND = (0.93, 0.97)
_BLOCK = 200
"""Features of one comparison: the documents' lengths are drawn anew for the next."""
_CONCEPT_BLOCK = 20


@dataclass(frozen=True)
class Cell:
    """One comparison: what the intervals of its features did."""

    estimand: Estimand
    kind: str
    firing: float | None
    documents: int
    covered: int
    told: int
    """Features with an interval."""
    covered_untold: int
    untold: int
    """Features that too few documents bear on, though an interval could be computed."""
    features: int


@dataclass(frozen=True)
class Task:
    """What one comparison is drawn from."""

    kind: str
    firing: float | None
    documents: int
    features: int
    stream: np.random.SeedSequence


def run(size: Size, seed: int, processes: int = 1) -> Table:
    """All estimands over firing rates and numbers of documents."""
    tasks = [task for cell in _cells(size) for task in _tasks(cell, size, seed)]
    totals: dict[tuple[str, Estimand, float | None, int], list[int]] = {}
    for cells in spread(one_comparison, tasks, processes):
        for c in cells:
            total = totals.setdefault((c.kind, c.estimand, c.firing, c.documents), [0] * 5)
            for i, value in enumerate((c.covered, c.told, c.covered_untold, c.untold, c.features)):
                total[i] += value
    rows = [_row(key, *total) for key, total in sorted(totals.items(), key=_order)]
    return Table(TITLE, HOW, rows)


def _order(
    item: tuple[tuple[str, Estimand, float | None, int], list[int]],
) -> tuple[str, str, float, int]:
    kind, estimand, firing, documents = item[0]
    return estimand, kind, firing or 0.0, documents


def _cells(size: Size) -> Iterator[tuple[str, float | None, int]]:
    for documents in size.documents:
        for firing in size.firing:
            yield "independent tokens", firing, documents
            # Runs overlap where a feature is mostly on: the model is one of rare firing.
            if firing <= 0.1:
                yield "bursts", firing, documents
        yield "dense", None, documents
        yield "variants, normal", None, documents
        yield "variants, skewed", None, documents
        for prevalence in (0.002, 0.01, 0.1):
            yield "concept, probe", prevalence, documents
            yield "concept, latent", prevalence, documents


def _tasks(cell: tuple[str, float | None, int], size: Size, seed: int) -> list[Task]:
    kind, firing, documents = cell
    concept = kind.startswith("concept")
    # Ranks, unlike sums, need every token: fewer features.
    fewer = (20 if documents > 200 else 10) if concept else 1
    features = size.coverage_features // fewer
    block = min(_CONCEPT_BLOCK if concept else _BLOCK, features)
    streams = seeds(seed, f"coverage {kind} {firing} {documents}", features // block)
    return [Task(kind, firing, documents, block, stream) for stream in streams]


def one_comparison(task: Task) -> list[Cell]:
    """Draw the features of one comparison and see which intervals hold the truth."""
    rng, policy = np.random.default_rng(task.stream), Policy()
    if task.kind.startswith("concept"):
        return [_concept(rng, task, policy)]
    if task.kind.startswith("variants"):
        return [_variants(rng, task, policy)]
    tokens = document_lengths(rng, task.documents)
    if task.firing is None:
        truth = _dense_truth(rng, task.features)
        table = judged_dense(policy, dense.dense_sums_of(rng, tokens, truth))
        effects = truth.effects
    else:
        sparse = _sparse_truth(rng, task.firing, task.features)
        family = bursts if task.kind == "bursts" else binomial_gamma
        table = judged(policy, family(rng, tokens, sparse))
        effects = sparse.effects
    return [
        _count(task, _estimand(name), table.inference[_estimand(name)], value, table.enough)
        for name, value in effects.items()
    ]


def _estimand(name: str) -> Estimand:
    return next(e for e in (*SPARSE_ESTIMANDS, "shift", "scale", "identity_dense") if e == name)


def _sparse_truth(rng: np.random.Generator, firing: float, features: int) -> Truth:
    change = rng.uniform(0.02, 0.4, features)
    gained = change * rng.random(features)
    rate = firing * np.exp(rng.uniform(-np.log(1.3), np.log(1.3), features))
    # Where a feature fires at half of the tokens there is little room for gains.
    gained = np.minimum(gained, np.maximum(1 - rate / 0.95, 0))
    return Truth(rate, change - gained, gained, rng.uniform(-0.4, 0.4, features))


def _dense_truth(rng: np.random.Generator, features: int) -> dense.DenseTruth:
    shift, scale = rng.uniform(-0.4, 0.4, features), rng.uniform(-0.4, 0.4, features)
    identity = dense.least_identity(shift, scale) + rng.uniform(0.005, 0.3, features)
    return dense.with_effects(shift, scale, identity, rng.uniform(0.02, 0.4, features))


def _concept(rng: np.random.Generator, task: Task, policy: Policy) -> Cell:
    tokens = document_lengths(rng, task.documents)
    labelled = concepts.label(rng, tokens, task.firing or 0.1)
    sparse = task.kind == "concept, latent"
    drawn = [
        (concepts.latent if sparse else concepts.probe)(rng, labelled) for _ in range(task.features)
    ]
    a, b = (np.stack([d[side] for d in drawn], axis=1) for side in (0, 1))
    found, told = concepts.inference(labelled, a, b, policy, sparse=sparse)
    truth = np.array([d[2] for d in drawn])
    if not len(found.effect):
        return Cell("concept", task.kind, task.firing, task.documents, 0, 0, 0, 0, len(truth))
    return _count(task, "concept", found, truth, np.full(len(truth), told))


def _variants(rng: np.random.Generator, task: Task, policy: Policy) -> Cell:
    skewed = task.kind.endswith("skewed")
    found, truth, active = variants.drawn(rng, task.documents, task.features, skewed=skewed)
    stratum = np.zeros(len(truth), np.intp)
    inference = infer("robustness", found, policy, stratum)
    return _count(task, "robustness", inference, truth, active >= policy.min_active_documents)


def _count(
    task: Task,
    estimand: Estimand,
    found: Inference,
    truth: NDArray[np.float64],
    enough: NDArray[np.bool_],
) -> Cell:
    known = np.isfinite(found.effect) & np.isfinite(found.lower) & np.isfinite(found.upper)
    with np.errstate(invalid="ignore"):
        covered = known & (found.lower <= truth) & (truth <= found.upper)
    return Cell(
        estimand,
        task.kind,
        task.firing,
        task.documents,
        int((covered & enough).sum()),
        int((known & enough).sum()),
        int((covered & ~enough).sum()),
        int((known & ~enough).sum()),
        len(truth),
    )


def _row(
    key: tuple[str, Estimand, float | None, int],
    covered: int,
    told: int,
    covered_untold: int,
    untold: int,
    features: int,
) -> Row:
    kind, estimand, firing, documents = key
    share = "labelled" if estimand == "concept" else "firing"
    of = "" if firing is None else f", {share} {firing:.1%}"
    case = f"{estimand}, {kind.removeprefix('concept, ')}{of}, {documents} documents"
    without = ""
    if told < features:
        without = f"no interval for {percent(1 - told / features)} of {features}"
        if untold:
            without += f" (it would cover {percent(covered_untold / untold)})"
    if told == 0:
        return Row(case, "93% to 97%", without, "shown")
    low, high = clopper_pearson(covered, told)
    measured = f"{percent(covered / told)} [{percent(low)}, {percent(high)}] of {told}"
    passed = high >= BAND[0] and low <= BAND[1]
    measured += f"; {without}" if without else ""
    return Row(case, "93% to 97%", measured, "pass" if passed else "FAIL")
