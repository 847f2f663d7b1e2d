"""Streaming drifted features over the paired activations into sums per cluster."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from app.registry.definitions import Composite, Feature, SaeLatent
from workers.diagnosis.heads import Reader
from workers.drift.sums import PairedSums, dense_sums
from workers.features import composites
from workers.features.dictionaries import PER_LATENT, DictionarySource

Array = NDArray[np.float64]
Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]
Rows = NDArray[np.intp]

BLOCK = 8192
RUNS = 16
"""Of more changes of half within a block, both fits read everything: products are too small."""
FEATURES = 128
"""Features whose sums are held at once."""
COMPETING_PRODUCTS = 1e12
"""Multiplications allowed a step where every latent of a dictionary must be computed."""


@dataclass(frozen=True)
class Group:
    """Features that need the same sites, judged together."""

    sites: tuple[str, ...]
    names: tuple[str, ...]
    """Features to judge."""
    bases: Mapping[str, tuple[str, ...]]
    """By site, what they are made of: no composites."""
    sparse: bool
    step: int
    """Every `step`-th token is looked at; above 1 where all latents of a dictionary compete."""


@dataclass(frozen=True)
class Sides:
    """Activations of both sides by site, on the same rows, with their clusters and halves."""

    a: Mapping[str, Float32]
    b: Mapping[str, Float32]
    cluster: Int64
    half: NDArray[np.int8]
    clusters: int


Readers = Mapping[str, tuple[Reader, Reader]]
"""By site, what is fitted on the first half and on the second."""


def make_groups(
    names: Sequence[str],
    features: Mapping[str, Feature],
    dictionaries: Mapping[str, DictionarySource],
    tokens: int,
) -> list[Group]:
    """Features by the sites that they need, sparse and dense apart."""
    found: dict[tuple[tuple[str, ...], bool, int], list[str]] = {}
    for name in names:
        parts = base_parts(name, features)
        sites = tuple(sorted({site_of(features[p], dictionaries) for p in parts}))
        step = max(_step(features[p], dictionaries, tokens) for p in parts)
        key = (sites, is_sparse(name, features, dictionaries), step)
        found.setdefault(key, []).append(name)
    groups: list[Group] = []
    for (sites, sparse, step), members in sorted(found.items()):
        for first in range(0, len(members), FEATURES):
            chosen = tuple(members[first : first + FEATURES])
            bases_of = dict.fromkeys(p for name in chosen for p in base_parts(name, features))
            by_site: dict[str, list[str]] = {site: [] for site in sites}
            for part in bases_of:
                by_site[site_of(features[part], dictionaries)].append(part)
            bases = {site: tuple(there) for site, there in by_site.items()}
            groups.append(Group(sites, chosen, bases, sparse, step))
    return groups


def base_parts(name: str, features: Mapping[str, Feature]) -> tuple[str, ...]:
    """What a feature is made of in the end: itself, unless it is a composite."""
    feature = features[name]
    if not isinstance(feature, Composite):
        return (name,)
    parts = (p for c in feature.components for p in base_parts(c.feature, features))
    return tuple(dict.fromkeys(parts))


def site_of(feature: Feature, dictionaries: Mapping[str, DictionarySource]) -> str:
    """Where a feature that is no composite reads."""
    if isinstance(feature, SaeLatent):
        return dictionaries[feature.dictionary].site
    if isinstance(feature, Composite):
        raise TypeError(f"composite {feature.name!r} has no site of its own")
    return feature.site


def is_sparse(
    name: str, features: Mapping[str, Feature], dictionaries: Mapping[str, DictionarySource]
) -> bool:
    """Whether a feature is mostly 0 and never negative, as the feature plan has it."""
    feature = features[name]
    if isinstance(feature, SaeLatent):
        return dictionaries[feature.dictionary].architecture != "abstopk"
    if isinstance(feature, Composite):
        return composites.is_sparse(feature, lambda part: is_sparse(part, features, dictionaries))
    return False


def _step(feature: Feature, dictionaries: Mapping[str, DictionarySource], tokens: int) -> int:
    if not isinstance(feature, SaeLatent):
        return 1
    source = dictionaries[feature.dictionary]
    if source.architecture in PER_LATENT:
        return 1
    return max(int(np.ceil(tokens * source.d_in * source.d_sae / COMPETING_PRODUCTS)), 1)


def group_sums(
    group: Group,
    features: Mapping[str, Feature],
    sides: Sides,
    baseline: Float32,
    candidate: Readers,
) -> PairedSums:
    """Sums of the group's features, every token's candidate value from the other half's fit.

    Args:
        baseline: [n / step, names] the group's values on the baseline's activations.
        candidate: by site, the group's bases on the candidate's, once for each half that was
            fitted on.
    """
    fits = [{site: pair[fit] for site, pair in candidate.items()} for fit in (0, 1)]

    def a(rows: Rows) -> Float32:
        return baseline[rows[0] // group.step : rows[-1] // group.step + 1]

    def b(rows: Rows, fit: int) -> Float32:
        return combine(group, features, fits[fit], _read(sides.b, group.sites, rows))

    thresholds = np.array([features[name].threshold for name in group.names], np.float64)
    same = all(pair[0] is pair[1] for pair in candidate.values())
    return value_sums(sides, group.step, a, b, thresholds, same=same)


def baseline_values(
    group: Group, features: Mapping[str, Feature], sides: Sides, readers: Mapping[str, Reader]
) -> Float32:
    """[n / step, names] the group's values on the baseline's activations."""
    parts = []
    for first in range(0, len(sides.cluster), BLOCK * group.step):
        rows = np.arange(first, min(first + BLOCK * group.step, len(sides.cluster)), group.step)
        parts.append(combine(group, features, readers, _read(sides.a, group.sites, rows)))
    return np.concatenate(parts)


def value_sums(
    sides: Sides,
    step: int,
    a: Callable[[Rows], Float32],
    b: Callable[[Rows, int], Float32],
    thresholds: Array,
    *,
    same: bool = False,
) -> PairedSums:
    """Sums of paired values.

    Args:
        a: the baseline's values of some rows.
        b: the candidate's, by what was fitted on the first half (0) or the second (1).
        same: the two fits are one.
    """
    total = PairedSums.zeros(sides.clusters, len(thresholds))

    def summed(rows: Rows, x: Float32, y: Float32) -> tuple[Int64, PairedSums]:
        present, local = np.unique(sides.cluster[rows], return_inverse=True)
        return present, dense_sums(x, y, local, len(present), thresholds)

    # Sums of one block are made beside the products of the next: numpy sums on one core.
    with ThreadPoolExecutor(1) as beside:
        waiting: Future[tuple[Int64, PairedSums]] | None = None
        for first in range(0, len(sides.cluster), BLOCK * step):
            rows = np.arange(first, min(first + BLOCK * step, len(sides.cluster)), step)
            x, y = a(rows), b(rows, 0) if same else _crossed(sides.half[rows], rows, b)
            if waiting is not None:
                total.add_rows(*waiting.result())
            waiting = beside.submit(summed, rows, x, y)
        if waiting is not None:
            total.add_rows(*waiting.result())
    return total


def _crossed(half: NDArray[np.int8], rows: Rows, b: Callable[[Rows, int], Float32]) -> Float32:
    """Each row read by what the other half fitted."""
    bounds = [0, *(np.flatnonzero(np.diff(half)) + 1).tolist(), len(rows)]
    if len(bounds) > RUNS:
        return np.where(half[:, None] == 0, b(rows, 1), b(rows, 0))
    parts = [b(rows[first:end], 1 - int(half[first])) for first, end in pairwise(bounds)]
    return np.concatenate(parts)


def combine(
    group: Group,
    features: Mapping[str, Feature],
    readers: Mapping[str, Reader],
    x: Mapping[str, Float32],
) -> Float32:
    """Values [T, names] of the group's features from its bases."""
    known: dict[str, Float32] = {}
    for site in group.sites:
        values = readers[site](x[site])
        if group.bases[site] == group.names:
            return values
        known.update(zip(group.bases[site], values.T, strict=True))

    def value(name: str) -> Float32:
        if name not in known:
            feature = features[name]
            if not isinstance(feature, Composite):
                raise KeyError(name)
            known[name] = composites.evaluate(feature, value)
        return known[name]

    return np.stack([value(name) for name in group.names], axis=1)


def _read(
    side: Mapping[str, Float32], sites: tuple[str, ...], rows: NDArray[np.intp]
) -> dict[str, Float32]:
    # Rows are evenly spaced: a slice copies nothing.
    step = int(rows[1] - rows[0]) if len(rows) > 1 else 1
    where = slice(int(rows[0]), int(rows[-1]) + 1, step)
    return {site: side[site][where] for site in sites}
