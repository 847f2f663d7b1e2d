"""AUROC of labelled features, a few columns at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.comparison.corpus import CorpusLabels, overlaps
from workers.comparison.pairing import Pairs
from workers.drift.auroc import Labels, PairedAuroc, Scores, paired_auroc
from workers.drift.estimands import Estimates, variance_of_variance
from workers.drift.ladder import ConceptAuroc
from workers.drift.policy import Policy
from workers.snapshots import Columns

_CHUNK = 65536
_GROUP = 16
"""Columns gathered in one pass: 16 dense ones of a million tokens take 128 MB."""


@dataclass(frozen=True)
class ConceptEvidence:
    """What the labels say about the features of a comparison."""

    auroc: ConceptAuroc
    where: NDArray[np.intp]
    """Positions of the features whose concept enough documents carry, sparse ones first."""
    estimates: Estimates
    """Of ΔAUROC, for those features."""
    notes: tuple[str, ...]


def concept_evidence(
    pairs: Pairs,
    columns: Columns,
    concepts: Mapping[str, str],
    corpus: CorpusLabels,
    policy: Policy,
) -> ConceptEvidence:
    """AUROC of each labelled feature on both sides, and the estimates of their difference.

    The estimand applies to concepts that enough units of inference carry (`min_active_documents`);
    features of the others have both AUROC and no test, as no interval on so few documents holds
    what it promises.

    Args:
        concepts: the concept that each feature claims to stand for.
    """
    names = [c.name for c in (*columns.sparse, *columns.dense)]
    labelled = [i for i, name in enumerate(names) if concepts.get(name) in corpus.labels]
    unknown = sorted({c for f, c in concepts.items() if f in set(names)} - set(corpus.labels))
    notes = [f"The corpus has no labels for concept {concept!r}." for concept in unknown]

    # All features of one concept in turn: its mask over the tokens is made once.
    by_concept: dict[str, list[int]] = {}
    for i in labelled:
        by_concept.setdefault(concepts[names[i]], []).append(i)
    results: dict[int, PairedAuroc] = {}
    judged: list[int] = []
    for concept, positions in by_concept.items():
        labels, kept = _labels(pairs, corpus, concept)
        for first in range(0, len(positions), _GROUP):
            group = positions[first : first + _GROUP]
            for i, (a, b) in zip(group, _gather(pairs, columns, group, kept), strict=True):
                results[i] = paired_auroc(a, b, labels)
        if fault := _untellable(labels, policy.min_active_documents):
            notes.append(
                f"{fault} concept {concept!r}, so that no change of AUROC on it was judged."
            )
        else:
            judged += positions

    baseline, candidate = (np.full(len(names), np.nan) for _ in range(2))
    baseline[labelled] = [results[i].baseline for i in labelled]
    candidate[labelled] = [results[i].candidate for i in labelled]
    judged.sort()
    found = [results[i] for i in judged]
    delta = np.array([r.candidate - r.baseline for r in found])
    influence = np.array([r.influence for r in found]).reshape(len(found), corpus.clusters).T
    independent = np.array([r.independent for r in found]).reshape(influence.T.shape).T
    unit = independent.sum(0)
    df = np.array([r.df for r in found])
    # Components centred at the estimate vary less than around the truth: by 1 − 1/K, K the
    # effective number of documents, where a document's variance is proportional to its size.
    # Obuchowski's factor corrects for documents of equal size only.
    variance = np.array([r.variance for r in found]) * (1 + 1 / np.maximum(df, 0.1))
    return ConceptEvidence(
        ConceptAuroc(baseline, candidate),
        np.array(judged, np.intp),
        Estimates(
            effect=delta,
            point=delta,
            variance=variance,
            unit=np.where(unit > 0, unit, 1.0),
            extra=np.array([r.owed for r in found]),
            df=df,
            identical=np.array([r.identical for r in found], bool),
            tails=variance_of_variance(influence, independent),
            influence=influence,
        ),
        tuple(notes),
    )


def _untellable(labels: Labels, least: int) -> str | None:
    """Why labels cannot tell an AUROC, or its error, as the beginning of a sentence.

    Args:
        least: units of inference that must carry the concept, and that must be without it in part.
    """
    if not labels.positive.any():
        return "No token that counts carries"
    if labels.positive.all():
        return "Every token that counts carries"
    for mask, verb in ((labels.positive, "carry"), (~labels.positive, "are in part without")):
        units = len(np.unique(labels.cluster[mask]))
        if units < least:
            return f"Fewer documents than needed ({units} of {least}) {verb}"
    return None


def _labels(pairs: Pairs, corpus: CorpusLabels, concept: str) -> tuple[Labels, NDArray[np.bool_]]:
    units = pairs.units
    kept = units.cluster >= 0
    positive = overlaps(corpus.labels[concept], units.document, units.start, units.end)
    return Labels(positive[kept], units.cluster[kept], corpus.clusters), kept


def _gather(
    pairs: Pairs, columns: Columns, positions: Sequence[int], kept: NDArray[np.bool_]
) -> list[tuple[Scores, Scores]]:
    """The values of some features on the tokens that count."""
    width = len(columns.sparse)
    sparse = [i for i in positions if i < width]
    dense = [i - width for i in positions if i >= width]
    number = np.cumsum(kept) - 1
    bounds = [*range(0, len(kept), _CHUNK), len(kept)]
    span = slice(min(sparse), max(sparse) + 1) if sparse else slice(0, 0)
    stored: dict[tuple[int, int], list[tuple[NDArray, NDArray]]] = {}
    full: tuple[list[NDArray], list[NDArray]] = ([], [])
    for block in pairs.blocks(bounds, span):
        here = slice(block.start, block.start + block.sparse_a.shape[0])
        for side, (matrix, values) in enumerate(
            ((block.sparse_a, block.dense_a), (block.sparse_b, block.dense_b))
        ):
            full[side].append(values[kept[here]][:, dense])
            if sparse:
                chosen = matrix[:, [i - span.start for i in sparse]].tocsc()
                for j, i in enumerate(sparse):
                    rows = slice(chosen.indptr[j], chosen.indptr[j + 1])
                    tokens = chosen.indices[rows]
                    use = kept[here][tokens]
                    stored.setdefault((i, side), []).append(
                        (chosen.data[rows][use], number[here][tokens[use]])
                    )
    tables = [np.concatenate(parts) if parts else np.zeros((0, len(dense))) for parts in full]

    def scores(i: int, side: int) -> Scores:
        if i >= width:
            return Scores(tables[side][:, dense.index(i - width)])
        parts = stored.get((i, side), [])
        if not parts:
            return Scores(np.zeros(0), np.zeros(0, np.int64))
        values, tokens = (np.concatenate(x) for x in zip(*parts, strict=True))
        return Scores(values, tokens)

    return [(scores(i, 0), scores(i, 1)) for i in positions]
