"""Null updates: how often is anything called `drifted`, or `stable`, that is not."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.calibration import concepts, dense
from benchmarks.calibration.size import Size
from benchmarks.calibration.synthetic import FAMILIES, Truth, document_lengths
from benchmarks.calibration.table import Row, Table, at_most, mean_at_most
from benchmarks.calibration.verdicts import judged, judged_dense, seeds, spread
from workers.drift.policy import Policy

TITLE = "Null updates"
HOW = (
    "Sets of {features} features in 200 documents, firing 0.3% to 30%. `inside`: small changes "
    "well within every margin. `at the margin`: every feature sits exactly on a margin, where a "
    "false `drifted` and a false `stable` are each as likely as the statistics allow; half of the "
    "sparse ones on the margins of rate, magnitude and identity at once. `just outside`: 1.1 "
    "margins. `mixed`: half unchanged, a quarter at the margin, a quarter at two margins; the "
    "false discovery proportion is averaged over the sets. A set counts as wrong with any false "
    "verdict, which is what q limits where no feature is truly drifted (or stable). Concepts: "
    "each feature's own p at the margin of ΔAUROC, where 5% may lie below 5%."
)
_DOCUMENTS = 200
CONDITIONS = ("inside", "at the margin", "just outside", "mixed")
PREVALENCES = (0.002, 0.01, 0.1)
_CONCEPT_FEATURES = 20
DENSE = "dense with document effects"


@dataclass(frozen=True)
class Count:
    """The verdicts of one set."""

    drifted: int
    stable: int
    false_drifted: int
    """At or within the margin, and called drifted."""
    false_stable: int
    """At or beyond the margin, and called stable."""
    features: int


def run(size: Size, seed: int, processes: int = 1) -> Table:
    """All families under all conditions."""
    tasks = [
        (family, condition, stream)
        for family in (*FAMILIES, DENSE)
        for condition in CONDITIONS
        for stream in seeds(seed, f"nulls {family} {condition}", size.sets)
    ]
    found = list(spread(one_set, tasks, processes, size.features))
    rows: list[Row] = []
    for family in (*FAMILIES, DENSE):
        for condition in CONDITIONS:
            counts = [
                c
                for (f, k, _), c in zip(tasks, found, strict=True)
                if (f, k) == (family, condition)
            ]
            rows.extend(_rows(f"{family}, {condition}", condition, counts))
    rows.extend(_concept_rows(size, seed, processes))
    return Table(TITLE, HOW.format(features=size.features), rows)


def _concept_rows(size: Size, seed: int, processes: int) -> list[Row]:
    """Features exactly at the margin of ΔAUROC, each tested by itself at 5%."""
    sets = max(size.sets // 25, 1)
    tasks = [
        (kind, prevalence, stream)
        for kind in ("probe", "latent")
        for prevalence in PREVALENCES
        for stream in seeds(seed, f"nulls concept {kind} {prevalence}", sets)
    ]
    found = list(spread(one_concept_set, tasks, processes))
    rows = []
    for kind, prevalence in dict.fromkeys(task[:2] for task in tasks):
        counts = [c for t, c in zip(tasks, found, strict=True) if t[:2] == (kind, prevalence)]
        total = sets * _CONCEPT_FEATURES
        case = f"concept, {kind}, labelled {prevalence:.1%}, at the margin"
        for i, name in enumerate(("p_drifted", "p_stable")):
            wrong = sum(c[i] for c in counts)
            rows.append(at_most(f"{case}: {name} ≤ 5%", 0.05, wrong, total, "features"))
    return rows


def one_concept_set(task: tuple[str, float, np.random.SeedSequence]) -> tuple[int, int]:
    """Of features at the margin, how many have p_drifted, and p_stable, of at most 5%."""
    kind, prevalence, stream = task
    rng, policy = np.random.default_rng(stream), Policy()
    labelled = concepts.label(rng, document_lengths(rng, _DOCUMENTS), prevalence)
    draw = concepts.latent if kind == "latent" else concepts.probe
    truths = rng.choice([-1.0, 1.0], _CONCEPT_FEATURES) * policy.concept
    drawn = [draw(rng, labelled, float(truth)) for truth in truths]
    a, b = (np.stack([d[side] for d in drawn], axis=1) for side in (0, 1))
    found, _ = concepts.inference(labelled, a, b, policy, sparse=kind == "latent")
    return int((found.p_drifted <= 0.05).sum()), int((found.p_stable <= 0.05).sum())


def one_set(task: tuple[str, str, np.random.SeedSequence], features: int) -> Count:
    """Draw and judge one comparison."""
    family, condition, stream = task
    rng, policy = np.random.default_rng(stream), Policy()
    tokens = document_lengths(rng, _DOCUMENTS)
    beyond = _beyond(condition, features)
    if family == DENSE:
        truth = _dense_truth(rng, beyond, policy)
        table = judged_dense(policy, dense.dense_sums_of(rng, tokens, truth))
    else:
        sparse = sparse_truth(rng, beyond, policy)
        table = judged(policy, FAMILIES[family](rng, tokens, sparse))
    drifted, stable = table.verdict == "drifted", table.verdict == "stable"
    return Count(
        int(drifted.sum()),
        int(stable.sum()),
        int((drifted & (beyond <= 1)).sum()),
        int((stable & (beyond >= 1)).sum()),
        features,
    )


def sparse_truth(rng: np.random.Generator, beyond: NDArray[np.float64], policy: Policy) -> Truth:
    """Features whose largest effect is `beyond` margins, of every kind and in either direction.

    Every other feature has all three effects there at once: it loses (or gains) as many firings as
    make its rate change by that many margins of rate, where identity is at its own too.
    """
    features = len(beyond)
    sign = rng.choice([-1.0, 1.0], features)
    kind = rng.permutation(np.arange(features) % 4)
    rate = np.where(kind <= 1, beyond, 0) * policy.rate
    change = 1 - np.exp(-rate)
    magnitude = np.where((kind <= 1) | (kind == 2), beyond, 0) * policy.magnitude
    moved = np.where(kind == 3, beyond * policy.identity_sparse, 0.02 * (kind == 2))
    return Truth(
        firing=10 ** rng.uniform(-2.5, -0.5, features),
        lost=np.where(sign < 0, change, 0) + moved / 2,
        gained=np.where(sign > 0, change, 0) + moved / 2,
        magnitude=sign * magnitude,
    )


def _dense_truth(
    rng: np.random.Generator, beyond: NDArray[np.float64], policy: Policy
) -> dense.DenseTruth:
    features = len(beyond)
    sign = rng.choice([-1.0, 1.0], features)
    kind = rng.permutation(np.arange(features) % 3)
    shift = sign * np.where(kind == 0, beyond * policy.shift, 0)
    scale = sign * np.where(kind == 1, beyond * policy.scale, 0)
    least = dense.least_identity(shift, scale)
    identity = np.where(kind == 2, beyond * policy.identity_dense, least + 0.01)
    return dense.with_effects(shift, scale, identity, rng.uniform(0.02, 0.3, features))


def _beyond(condition: str, features: int) -> NDArray[np.float64]:
    if condition == "mixed":
        return np.array([0.1, 0.1, 1.0, 2.0])[np.arange(features) * 4 // features]
    level = {"inside": 0.25, "at the margin": 1.0, "just outside": 1.1}[condition]
    return np.full(features, level)


def _rows(case: str, condition: str, counts: list[Count]) -> list[Row]:
    q, sets = Policy().q, len(counts)
    rows = []
    if condition == "mixed":
        for name in ("drifted", "stable"):
            shares = [getattr(c, f"false_{name}") / max(getattr(c, name), 1) for c in counts]
            power = np.mean([getattr(c, name) for c in counts])
            rows.append(
                mean_at_most(
                    f"{case}: false `{name}` among `{name}`",
                    q,
                    shares,
                    f"sets ({power:.0f} `{name}` in a set)",
                )
            )
        return rows
    if condition != "just outside":
        wrong = sum(c.false_drifted > 0 for c in counts)
        rows.append(at_most(f"{case}: any false `drifted`", q, wrong, sets, "sets"))
    if condition != "inside":
        wrong = sum(c.false_stable > 0 for c in counts)
        rows.append(at_most(f"{case}: any false `stable`", q, wrong, sets, "sets"))
    return rows
