"""Two snapshots as pairs of values: token by token, or word by word where tokenizers differ."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from workers.comparison.corpus import CorpusLabels
from workers.snapshots import OUTLIER, SPECIAL, Positions, SnapshotReader

Int64 = NDArray[np.int64]


class NotComparableError(Exception):
    """The snapshots cannot be paired; the message says why, for a person."""


@dataclass(frozen=True)
class Units:
    """What is paired: tokens, or words; all arrays are [units]."""

    document: NDArray[np.int32]
    start: NDArray[np.int32]
    end: NDArray[np.int32]
    cluster: Int64
    """−1 for a unit that does not count."""
    special: int
    """Special tokens left out."""
    outliers: int
    """Units left out because their activation norm is an outlier on both sides."""

    def __len__(self) -> int:
        return len(self.document)


@dataclass(frozen=True)
class PairBlock:
    """Consecutive units of both sides."""

    start: int
    """Position of the first unit."""
    sparse_a: csr_array
    sparse_b: csr_array
    """[units, sparse columns asked for]"""
    dense_a: NDArray[np.floating]
    dense_b: NDArray[np.floating]
    """[units, dense columns]"""


class Pairs(Protocol):
    """Paired units that can be streamed as often as needed."""

    unit: str
    """What is paired, in the plural, for a sentence."""

    @property
    def units(self) -> Units:
        """What is paired."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the comparison must know of the pairing."""

    def blocks(self, bounds: Sequence[int], sparse_columns: slice) -> Iterator[PairBlock]:
        """The units between consecutive bounds, with some of the sparse features."""


class TokenPairs:
    """The same tokenizer on both sides: token i stands beside token i.

    Raises:
        NotComparableError: the two snapshots do not hold the same tokens.
    """

    unit = "tokens"

    def __init__(
        self, baseline: SnapshotReader, candidate: SnapshotReader, corpus: CorpusLabels
    ) -> None:
        self._a, self._b = baseline, candidate
        a, b = baseline.positions(), candidate.positions()
        if len(a.document) != len(b.document):
            raise NotComparableError(
                f"the baseline holds {len(a.document)} tokens and the candidate "
                f"{len(b.document)}, with one tokenizer; capture both again"
            )
        differ = (a.document != b.document) | (a.start != b.start) | (a.end != b.end)
        if differ.any():
            i = int(differ.argmax())
            raise NotComparableError(
                f"{differ.sum()} tokens differ in document or span, the first at position {i}: "
                f"document {a.document[i]} [{a.start[i]}, {a.end[i]}) beside document "
                f"{b.document[i]} [{b.start[i]}, {b.end[i]}); capture both again"
            )
        check_documents(a, corpus)
        special = ((a.flags | b.flags) & SPECIAL) > 0
        # A token that left the ordinary, or came back to it, is drift and no attention sink.
        outlier = (a.flags & b.flags & OUTLIER) > 0
        one_sided = ((a.flags ^ b.flags) & OUTLIER) > 0
        self.units = Units(
            a.document,
            a.start,
            a.end,
            np.where(special | outlier, -1, corpus.groups[a.document]),
            int(special.sum()),
            int((outlier & ~special).sum()),
        )
        self.notes = note_one_sided(int((one_sided & ~special).sum()), self.unit)

    def blocks(self, bounds: Sequence[int], sparse_columns: slice) -> Iterator[PairBlock]:
        """See `Pairs.blocks`."""
        for start, stop in pairwise(bounds):
            a = self._a.read(start, stop, sparse_columns)
            b = self._b.read(start, stop, sparse_columns)
            yield PairBlock(start, a.sparse, b.sparse, a.dense, b.dense)


def note_one_sided(count: int, unit: str) -> tuple[str, ...]:
    """What a reader must know of units whose norm is an outlier on one side alone."""
    if not count:
        return ()
    return (f"{count} {unit} are of outlier norm on one side only; they count as what they are.",)


def check_documents(positions: Positions, corpus: CorpusLabels) -> None:
    """Refuse a snapshot that speaks of documents the corpus does not have.

    Raises:
        NotComparableError: a document index is out of range.
    """
    if positions.document.size and int(positions.document.max()) >= len(corpus.groups):
        raise NotComparableError(
            f"a token belongs to document {positions.document.max()}, the corpus has "
            f"{len(corpus.groups)} documents; the snapshot is of another corpus"
        )
