"""Agreement across variants of documents, streamed over both snapshots."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from workers.comparison.corpus import CorpusLabels
from workers.comparison.pager import Pager
from workers.comparison.pairing import Int64, Pairs
from workers.drift.estimands import Estimates
from workers.drift.policy import Policy
from workers.drift.robustness import Agreement, agreement
from workers.snapshots import Columns

_CHUNK = 65536
_MEANS_BYTES = 128 << 20
"""Mean activations of the features read in one pass, on both sides."""
_PIECE_BYTES = 4 << 20
"""One array of documents × features of the jackknife, which needs about thirty of them."""
POOLED = "all"
"""The name under which all perturbations are taken together."""

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Robustness(Mapping[str, dict[str, Any]]):
    """By feature, agreement with variants on both sides, for each perturbation and for all.

    A feature's figures, for JSON: perturbation → {"baseline", "candidate", "pairs",
    "active_documents"}; None where the documents do not differ in the feature.
    """

    names: Mapping[str, int]
    pairs: Mapping[str, int]
    """By perturbation."""
    baseline: Mapping[str, Array]
    """By perturbation, [features]."""
    candidate: Mapping[str, Array]
    active: Mapping[str, Int64]

    def __getitem__(self, name: str) -> dict[str, Any]:
        i = self.names[name]
        return {
            kind: {
                "baseline": _optional(self.baseline[kind][i]),
                "candidate": _optional(self.candidate[kind][i]),
                "pairs": pairs,
                "active_documents": int(self.active[kind][i]),
            }
            for kind, pairs in self.pairs.items()
        }

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class RobustnessEvidence:
    """What the variants say about the features of a comparison."""

    figures: Robustness
    where: NDArray[np.intp]
    """Positions of the features that enough documents speak of, sparse features first."""
    estimates: Estimates
    """Of the loss of agreement over all perturbations, for those features."""


def robustness_evidence(
    pairs: Pairs,
    columns: Columns,
    corpus: CorpusLabels,
    policy: Policy,
    pager: Pager | None = None,
) -> RobustnessEvidence | None:
    """Agreement across variants of every feature; None where no variant can be paired.

    A variant belongs to the unit of inference of the document it was made from. The estimand
    applies to features that are active in enough of these units (`min_active_documents`); the
    others have figures and no test, so that variants of a few documents keep nothing from being
    stable.

    Args:
        pager: takes the influence values, where pages were asked for.

    Raises:
        ValueError: a variant names a document that the corpus does not have.
    """
    links = _links(corpus, pairs)
    if not links:
        return None
    original, variant = (np.array([link[k] for link in links], np.int64) for k in (0, 1))
    kind = np.array([link[2] for link in links])
    involved, slot = np.unique(np.concatenate([original, variant]), return_inverse=True)
    first, second = slot[: len(links)], slot[len(links) :]
    units, unit = np.unique(corpus.groups[original], return_inverse=True)
    kinds = {k: kind == k for k in np.unique(kind).tolist()} | {POOLED: np.ones(len(kind), bool)}

    found: dict[str, list[Agreement]] = {k: [] for k in kinds}
    position = 0
    for a, b in _means(pairs, columns, involved):
        for name, chosen in kinds.items():
            o, v = first[chosen], second[chosen]
            one = agreement(a[o], a[v], b[o], b[v], unit[chosen], len(units))
            if pager and name == POOLED:
                here = np.arange(a.shape[1]) + position
                pager.add("robustness", here, one.estimates, one.active_clusters, units)
            found[name].append(replace(one, estimates=replace(one.estimates, influence=None)))
        position += a.shape[1]

    names = [c.name for c in (*columns.sparse, *columns.dense)]
    active = {k: np.concatenate([x.active_clusters for x in parts]) for k, parts in found.items()}
    pooled = [x.estimates for x in found[POOLED]]
    whole = Estimates.concatenate(pooled)
    where = np.flatnonzero(
        (active[POOLED] >= policy.min_active_documents) & np.isfinite(whole.point)
    )
    return RobustnessEvidence(
        Robustness(
            {name: i for i, name in enumerate(names)},
            {k: parts[0].pairs for k, parts in found.items()},
            {k: np.concatenate([x.baseline for x in parts]) for k, parts in found.items()},
            {k: np.concatenate([x.candidate for x in parts]) for k, parts in found.items()},
            active,
        ),
        where,
        whole.select(where),
    )


def _links(corpus: CorpusLabels, pairs: Pairs) -> list[tuple[int, int, str]]:
    """The variants that have tokens that count, as their documents have."""
    documents = len(corpus.groups)
    for link in corpus.variants:
        if not (0 <= link[0] < documents and 0 <= link[1] < documents):
            raise ValueError(
                f"variant {link} names a document that the corpus does not have; "
                f"it has documents 0 to {documents - 1}"
            )
    units = pairs.units
    counted = np.bincount(units.document[units.cluster >= 0], minlength=documents) > 0
    return [link for link in corpus.variants if counted[link[0]] and counted[link[1]]]


def _means(pairs: Pairs, columns: Columns, documents: Int64) -> Iterator[tuple[Array, Array]]:
    """Mean activation of some documents on both sides, one block of features after another.

    Args:
        documents: ascending.

    Yields:
        Baseline and candidate, [documents, features].
    """
    units = pairs.units
    place = np.searchsorted(documents, units.document)
    here = (place < len(documents)) & (units.cluster >= 0)
    here &= documents[np.minimum(place, len(documents) - 1)] == units.document
    place = np.where(here, place, -1)
    tokens = np.bincount(place[here], minlength=len(documents))[:, None]
    bounds = [*range(0, len(place), _CHUNK), len(place)]
    width = max(_MEANS_BYTES // (2 * 8 * len(documents)), 1)
    blocks = [
        slice(start, min(start + width, len(columns.sparse)))
        for start in range(0, len(columns.sparse), width)
    ]
    for block in blocks:
        sums = np.zeros((2, len(documents), block.stop - block.start))
        for part in pairs.blocks(bounds, block):
            rows = _indicator(place[part.start : part.start + part.sparse_a.shape[0]], documents)
            for side, matrix in enumerate((part.sparse_a, part.sparse_b)):
                sums[side] += (rows @ matrix.astype(np.float64)).toarray()
        yield from _pieces(sums / tokens)
    if columns.dense:
        sums = np.zeros((2, len(documents), len(columns.dense)))
        for part in pairs.blocks(bounds, slice(0, 0)):
            rows = _indicator(place[part.start : part.start + len(part.dense_a)], documents)
            for side, values in enumerate((part.dense_a, part.dense_b)):
                sums[side] += rows @ values.astype(np.float64)
        yield from _pieces(sums / tokens)


def _pieces(means: Array) -> Iterator[tuple[Array, Array]]:
    step = max(_PIECE_BYTES // (8 * means.shape[1]), 1)
    for start in range(0, means.shape[2], step):
        part = means[:, :, start : start + step]
        yield part[0], part[1]


def _indicator(place: Int64, documents: Int64) -> csr_array:
    rows = np.flatnonzero(place >= 0)
    return csr_array((np.ones(len(rows)), (place[rows], rows)), shape=(len(documents), len(place)))


def _optional(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
