"""Where to look: the passages in which a feature changed most, and those in which it was strongest.

A passage is a window of units (tokens, or words where tokenizers differ) around one place of one
document, with the feature's activation on both sides at each. They illustrate a verdict and are
never evidence for it: they are the extremes of the corpus, chosen for being extreme.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from workers.comparison.corpus import CorpusLabels
from workers.comparison.pairing import Int64, PairBlock, Pairs
from workers.snapshots import Columns

Kind = Literal["changed", "strongest"]
Float64 = NDArray[np.float64]

REACH = 12
"""Units shown before and after the place itself."""
PASSAGES: dict[Kind, int] = {"changed": 4, "strongest": 2}
"""Passages of a feature, each from another unit of inference."""

_CHUNK = 16384
_DIGITS = 4


@dataclass
class Passage:
    """One window of one document."""

    kind: Kind
    document: int
    """Position in the corpus."""
    peak: int
    """Position of the unit that was chosen, among all units."""
    first: int
    stop: int
    """The window, among all units."""
    baseline: Float64 = field(default_factory=lambda: np.zeros(0))
    candidate: Float64 = field(default_factory=lambda: np.zeros(0))
    """[stop − first] activations."""


def passages(
    pairs: Pairs, columns: Columns, corpus: CorpusLabels, names: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """Passages of some features as plain JSON values, in two passes over both snapshots.

    A passage is {"kind", "document", "peak", "units": [[start, end, baseline, candidate], …]}:
    characters of the document, and `peak` the position within `units`. Variants of documents are
    left out, and of each unit of inference there is one passage of a kind. A feature without any
    activation, or without any change, has fewer.

    Args:
        names: features with a column; others are left out.
    """
    wanted = _Wanted.of(columns, names)
    if not wanted.names or not len(pairs.units):
        return {name: [] for name in wanted.names}
    found = _choose(pairs, corpus, wanted)
    _fill(pairs, wanted, found)
    return {name: [_to_json(p, pairs) for p in found[name]] for name in wanted.names}


@dataclass(frozen=True)
class _Wanted:
    """The columns asked for, sparse ones first."""

    names: tuple[str, ...]
    sparse: NDArray[np.intp]
    dense: NDArray[np.intp]

    @classmethod
    def of(cls, columns: Columns, names: Sequence[str]) -> "_Wanted":
        asked = set(names)
        sparse, dense = (
            np.array([i for i, c in enumerate(kind) if c.name in asked], np.intp)
            for kind in (columns.sparse, columns.dense)
        )
        found = [columns.sparse[i].name for i in sparse] + [columns.dense[i].name for i in dense]
        return cls(tuple(found), sparse, dense)

    @property
    def span(self) -> slice:
        """The sparse columns that must be read."""
        if not len(self.sparse):
            return slice(0, 0)
        return slice(int(self.sparse[0]), int(self.sparse[-1]) + 1)

    def values(self, block: PairBlock) -> tuple[Float64, Float64]:
        """[units, features] of both sides."""
        columns = self.sparse - self.span.start
        a, b = (x[:, columns].toarray() for x in (block.sparse_a, block.sparse_b))
        return (
            np.concatenate([a, block.dense_a[:, self.dense]], axis=1).astype(np.float64),
            np.concatenate([b, block.dense_b[:, self.dense]], axis=1).astype(np.float64),
        )


def _choose(pairs: Pairs, corpus: CorpusLabels, wanted: _Wanted) -> dict[str, list[Passage]]:
    """The most extreme place of each document, then the most extreme documents."""
    units = pairs.units
    documents, width = len(corpus.groups), len(wanted.names)
    best = {kind: np.zeros((documents, width)) for kind in PASSAGES}
    place = {kind: np.full((documents, width), -1, np.int64) for kind in PASSAGES}
    eligible = units.cluster >= 0
    eligible &= ~np.isin(units.document, [variant for _, variant, _ in corpus.variants])
    for block in pairs.blocks(_bounds(len(units)), wanted.span):
        a, b = wanted.values(block)
        rows = np.flatnonzero(eligible[block.start : block.start + len(a)])
        if not len(rows):
            continue
        document = units.document[block.start + rows]
        scores: dict[Kind, Float64] = {"changed": np.abs(b - a)[rows], "strongest": a[rows]}
        for kind, score in scores.items():
            _keep_best(best[kind], place[kind], score, document, block.start + rows)
    found: dict[str, list[Passage]] = {}
    for column, name in enumerate(wanted.names):
        found[name] = [
            _passage(kind, pairs, int(place[kind][document, column]))
            for kind, number in PASSAGES.items()
            for document in _distinct(best[kind][:, column], corpus.groups, number)
        ]
    return found


def _keep_best(
    best: Float64, place: Int64, score: Float64, document: NDArray[np.integer], unit: Int64
) -> None:
    """Raise the best score of each (document, feature), and remember where it is first reached."""
    starts = np.flatnonzero(np.diff(document, prepend=-1))
    here = document[starts]
    highest = np.maximum.reduceat(score, starts, axis=0)
    better = highest > best[here]
    if not better.any():
        return
    run = np.searchsorted(starts, np.arange(len(document)), side="right") - 1
    rows, features = np.nonzero((score == highest[run]) & better[run])
    # In order of the rows: the first of each pair stands where it is first reached.
    _, first = np.unique(run[rows] * score.shape[1] + features, return_index=True)
    at, feature = rows[first], features[first]
    best[document[at], feature] = score[at, feature]
    place[document[at], feature] = unit[at]


def _distinct(score: Float64, groups: Int64, number: int) -> list[int]:
    """The documents of the highest scores above 0, one of each unit of inference."""
    chosen: list[int] = []
    seen: set[int] = set()
    for document in np.argsort(-score, kind="stable"):
        if score[document] <= 0 or len(chosen) == number:
            break
        if int(groups[document]) not in seen:
            seen.add(int(groups[document]))
            chosen.append(int(document))
    return chosen


def _passage(kind: Kind, pairs: Pairs, peak: int) -> Passage:
    document = pairs.units.document
    low, high = max(peak - REACH, 0), min(peak + REACH + 1, len(document))
    same = np.flatnonzero(document[low:high] == document[peak]) + low
    first, stop = int(same[0]), int(same[-1]) + 1
    empty = np.zeros(stop - first)
    return Passage(kind, int(document[peak]), peak, first, stop, empty, empty.copy())


def _fill(pairs: Pairs, wanted: _Wanted, found: dict[str, list[Passage]]) -> None:
    """Read the activations of all windows in one pass."""
    windows = sorted(
        ((p.first, column, p) for column, name in enumerate(wanted.names) for p in found[name]),
        key=lambda window: window[:2],
    )
    for block in pairs.blocks(_bounds(len(pairs.units)), wanted.span):
        stop = block.start + block.sparse_a.shape[0]
        here = [w for w in windows if w[2].first < stop and w[2].stop > block.start]
        if not here:
            continue
        a, b = wanted.values(block)
        for _, column, passage in here:
            low, high = max(passage.first, block.start), min(passage.stop, stop)
            into = slice(low - passage.first, high - passage.first)
            rows = slice(low - block.start, high - block.start)
            passage.baseline[into] = a[rows, column]
            passage.candidate[into] = b[rows, column]


def _to_json(passage: Passage, pairs: Pairs) -> dict[str, Any]:
    units = pairs.units
    # Special tokens have no characters, and nothing to show.
    window = range(passage.first, passage.stop)
    shown = [i for i in window if units.end[i] > units.start[i] or i == passage.peak]
    return {
        "kind": passage.kind,
        "document": passage.document,
        "peak": shown.index(passage.peak),
        "units": [
            [
                int(units.start[i]),
                int(units.end[i]),
                _short(passage.baseline[i - passage.first]),
                _short(passage.candidate[i - passage.first]),
            ]
            for i in shown
        ],
    }


def _short(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def _bounds(units: int) -> list[int]:
    return [*range(0, units, _CHUNK), units]
