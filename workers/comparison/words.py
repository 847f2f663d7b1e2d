"""Pairing by words, for two checkpoints whose tokenizers differ.

A word is a maximal run of characters that are not whitespace. A token belongs to the first word
that its span reaches; its value is pooled with those of the word's other tokens by their mean.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from workers.comparison.corpus import CorpusLabels, pack
from workers.comparison.pairing import (
    Int64,
    NotComparableError,
    PairBlock,
    Units,
    check_documents,
    note_one_sided,
)
from workers.snapshots import OUTLIER, SPECIAL, Positions, SnapshotReader

MIN_SHARED_WORDS = 0.9
"""With a smaller share of words seen by both sides, the offsets cannot be trusted."""

_CHUNK = 65536


class WordPairs:
    """Word i of the baseline stands beside word i of the candidate.

    Raises:
        NotComparableError: texts are missing, or the character offsets are unusable.
    """

    unit = "words"

    def __init__(
        self, baseline: SnapshotReader, candidate: SnapshotReader, corpus: CorpusLabels
    ) -> None:
        if corpus.texts is None:
            raise NotComparableError(
                "the tokenizers differ, and without the corpus's texts their tokens cannot be "
                "aligned by words"
            )
        self._readers = (baseline, candidate)
        words = _words(corpus.texts)
        positions = [reader.positions() for reader in self._readers]
        lengths = np.array([len(text) for text in corpus.texts], np.int64)
        for side, p in zip(("baseline", "candidate"), positions, strict=True):
            check_documents(p, corpus)
            _check_offsets(side, p, lengths)
        self._word = [_assign(p, words) for p in positions]
        seen = [_count(word, len(words)) > 0 for word in self._word]
        both, either = seen[0] & seen[1], seen[0] | seen[1]
        share = both.sum() / max(int(either.sum()), 1)
        if share < MIN_SHARED_WORDS:
            raise NotComparableError(
                f"the tokenizers differ, and only {share:.0%} of the words carry tokens on both "
                "sides; use tokenizers that give character offsets"
            )
        hit = np.zeros((2, len(words)), bool)
        for row, word, p in zip(hit, self._word, positions, strict=True):
            row[word[((p.flags & OUTLIER) > 0) & (word >= 0)]] = True
        outlier = hit.all(0)
        document = words[:, 0].astype(np.int32)
        self.units = Units(
            document,
            words[:, 1].astype(np.int32),
            words[:, 2].astype(np.int32),
            np.where(both & ~outlier, corpus.groups[document], -1),
            sum(int(((p.flags & SPECIAL) > 0).sum()) for p in positions),
            int((both & outlier).sum()),
        )
        self.notes: tuple[str, ...] = (
            f"The tokenizers differ: values were pooled by mean over {int(both.sum())} words "
            f"({share:.1%} of those seen), so that effects are per word, not per token.",
            *note_one_sided(int((both & (hit[0] ^ hit[1])).sum()), self.unit),
        )

    def blocks(self, bounds: Sequence[int], sparse_columns: slice) -> Iterator[PairBlock]:
        """See `Pairs.blocks`. The pooled values of the columns asked for are held in memory."""
        (sparse_a, dense_a), (sparse_b, dense_b) = (
            self._pool(side, sparse_columns) for side in (0, 1)
        )
        for start, stop in pairwise(bounds):
            rows = slice(start, stop)
            yield PairBlock(start, sparse_a[rows], sparse_b[rows], dense_a[rows], dense_b[rows])

    def _pool(self, side: int, columns: slice) -> tuple[csr_array, NDArray[np.float64]]:
        reader, word = self._readers[side], self._word[side]
        units = len(self.units)
        weight = 1 / np.maximum(_count(word, units), 1)
        dense = np.zeros((units, len(reader.columns.dense)))
        rows, cols, data = [], [], []
        for start in range(0, reader.tokens, _CHUNK):
            block = reader.read(start, min(start + _CHUNK, reader.tokens), columns)
            here = word[start : start + len(block)]
            kept = np.flatnonzero(here >= 0)
            pooling = csr_array((weight[here[kept]], (here[kept], kept)), shape=(units, len(block)))
            pooled = (pooling @ block.sparse).tocoo()
            rows.append(pooled.row)
            cols.append(pooled.col)
            data.append(pooled.data)
            np.add.at(dense, here[kept], block.dense[kept] * weight[here[kept], None])
        width = len(range(*columns.indices(len(reader.columns.sparse))))
        sparse = coo_array(
            (np.concatenate(data), (np.concatenate(rows), np.concatenate(cols))),
            shape=(units, width),
        )
        # Words that straddle two chunks meet here.
        return csr_array(sparse.tocsr()), dense


def _words(texts: Sequence[str]) -> Int64:
    """[words, 3] document, first character, one past the last; in order."""
    found = [
        (index, match.start(), match.end())
        for index, text in enumerate(texts)
        for match in re.finditer(r"\S+", text)
    ]
    return np.array(found, np.int64).reshape(-1, 3)


def _assign(positions: Positions, words: Int64) -> Int64:
    """[tokens] the word of each token; −1 for special tokens and for whitespace."""
    document, start, end = positions.document, positions.start, positions.end
    found = np.searchsorted(pack(words[:, 0], words[:, 2]), pack(document, start), side="right")
    inside = found < len(words)
    word = words[np.minimum(found, max(len(words) - 1, 0))]
    inside &= (word[:, 0] == document) & (word[:, 1] < end) & (end > start)
    inside &= (positions.flags & SPECIAL) == 0
    return np.where(inside, found, -1)


def _count(word: Int64, words: int) -> Int64:
    return np.bincount(word[word >= 0], minlength=words)


def _check_offsets(side: str, positions: Positions, lengths: Int64) -> None:
    bad = (
        (positions.start < 0)
        | (positions.end < positions.start)
        | (positions.end > lengths[positions.document])
    )
    if bad.any():
        i = int(bad.argmax())
        raise NotComparableError(
            f"{bad.sum()} tokens of the {side} have a span outside their document, the first "
            f"[{positions.start[i]}, {positions.end[i]}) in document {positions.document[i]} of "
            f"{lengths[positions.document[i]]} characters"
        )
