"""What a comparison must know of the corpus: clusters, labelled spans, and texts if need be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]
Spans = Sequence[tuple[int, int]]
"""Character ranges of one document, half open."""

_SPAN = 1 << 32
"""Documents are shorter than this many characters: (document, character) packs into an int64."""


@dataclass(frozen=True)
class CorpusLabels:
    """The corpus as the statistics see it.

    Args:
        groups: [documents] the cluster of each document, from 0: the document itself, or the group
            that the corpus gives it (paraphrases of one text, files of one project).
        labels: by concept, for each document the character spans that carry it.
        texts: by document; needed only where the tokenizers of two snapshots differ.
        variants: document, a variant of it, and the perturbation that made the variant.
    """

    groups: Int64
    labels: Mapping[str, Sequence[Spans]] = field(default_factory=dict)
    texts: Sequence[str] | None = None
    variants: Sequence[tuple[int, int, str]] = ()

    def __post_init__(self) -> None:
        documents = len(self.groups)
        for concept, spans in self.labels.items():
            if len(spans) != documents:
                raise ValueError(
                    f"concept {concept!r} labels {len(spans)} documents, the corpus has {documents}"
                )
        if self.texts is not None and len(self.texts) != documents:
            raise ValueError(f"{len(self.texts)} texts for {documents} documents")

    @property
    def clusters(self) -> int:
        """How many clusters there are."""
        return int(self.groups.max()) + 1 if len(self.groups) else 0


def pack(document: NDArray[np.integer], character: NDArray[np.integer]) -> Int64:
    """One sortable number for a place in the corpus."""
    return np.asarray(document, np.int64) * _SPAN + np.asarray(character, np.int64)


def overlaps(
    spans: Sequence[Spans],
    document: NDArray[np.integer],
    start: NDArray[np.integer],
    end: NDArray[np.integer],
) -> NDArray[np.bool_]:
    """The label rule: a token is positive when it shares a character with a labelled span.

    Special tokens share none, their span being empty.

    Args:
        spans: by document, in any order, overlapping or not.
        document, start, end: [tokens].
    """
    merged = [(index, lo, hi) for index, ranges in enumerate(spans) for lo, hi in _merge(ranges)]
    if not merged:
        return np.zeros(len(document), bool)
    place, lo, hi = np.array(merged, np.int64).T
    # Of disjoint spans, only the last that starts before the token's end can reach into it.
    last = np.searchsorted(pack(place, lo), pack(document, end), side="left") - 1
    found = np.maximum(last, 0)
    return (last >= 0) & (place[found] == document) & (hi[found] > start) & (end > start)


def _merge(spans: Spans) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for lo, hi in sorted((lo, hi) for lo, hi in spans if hi > lo):
        if merged and lo <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], hi))
        else:
            merged.append((lo, hi))
    return merged
