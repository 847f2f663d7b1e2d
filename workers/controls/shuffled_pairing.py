"""Shuffled pairing: a baseline beside itself, each token paired with a distant one.

Which tokens a feature fires on is what its identity measures; paired with other tokens, nothing of
it may be left. A feature that fires everywhere, or has one value everywhere, agrees with itself
however tokens are paired: its identity cannot fail, and so shows nothing when it holds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import vstack

from workers.comparison.corpus import CorpusLabels
from workers.comparison.pairing import PairBlock, TokenPairs
from workers.comparison.stream import MEMORY_BYTES, dense_totals, sparse_blocks
from workers.controls.outcome import ControlOutcome, FeatureOutcome, count, overall
from workers.drift import ladder
from workers.drift.activity import Activity, count_activity
from workers.drift.estimands import Estimates, dense_estimates, sparse_estimates
from workers.drift.policy import IDENTITY, Estimand, Policy
from workers.drift.sums import PairedSums
from workers.drift.verdicts import VerdictTable
from workers.snapshots import SnapshotReader, TokenBlock

NAME = "shuffled_pairing"

_CELLS = 1 << 20
"""Clusters × features of one jackknife."""


class ShiftedPairs:
    """Token i of a snapshot beside token i + offset of the same one, around the end.

    A token stays with its own document's cluster; it counts where both tokens do.

    Args:
        offset: tokens, special ones included, between 1 and one less than there are.
    """

    unit = "tokens"

    def __init__(self, reader: SnapshotReader, corpus: CorpusLabels, offset: int) -> None:
        if not 0 < offset < reader.tokens:
            raise ValueError(f"offset {offset} of {reader.tokens} tokens pairs none with another")
        self._reader, self._offset = reader, offset
        units = TokenPairs(reader, reader, corpus).units
        partner = np.roll(units.cluster, -offset)
        self.units = replace(units, cluster=np.where(partner >= 0, units.cluster, -1))
        self.notes: tuple[str, ...] = ()

    def blocks(self, bounds: Sequence[int], sparse_columns: slice) -> Iterator[PairBlock]:
        """See `Pairs.blocks`."""
        tokens = self._reader.tokens
        for start, stop in pairwise(bounds):
            a = self._reader.read(start, stop, sparse_columns)
            first = (start + self._offset) % tokens
            last = first + stop - start
            parts = [self._reader.read(first, min(last, tokens), sparse_columns)]
            if last > tokens:
                parts.append(self._reader.read(0, last - tokens, sparse_columns))
            sparse, dense = _joined(parts)
            yield PairBlock(start, a.sparse, sparse, a.dense, dense)


def draw_offset(tokens: int, seed: int) -> int:
    """An offset of at least a tenth of the tokens either way round.

    Raises:
        ValueError: there are fewer than 2 tokens.
    """
    if tokens < 2:
        raise ValueError(f"{tokens} tokens cannot be paired with others")
    tenth = -(-tokens // 10)
    return int(np.random.default_rng(seed).integers(tenth, max(tokens - tenth, tenth) + 1))


def judge(
    baseline: SnapshotReader,
    corpus: CorpusLabels,
    policy: Policy,
    *,
    seed: int = 0,
    memory_bytes: int = MEMORY_BYTES,
) -> ControlOutcome:
    """Whether the identity of each feature collapses when tokens are paired at random.

    Args:
        policy: its margins with their noise floor: an identity that even a wrong pairing does not
            move beyond its margin could never be found to drift.
        memory_bytes: bound of the sums held at once.

    Raises:
        EvaluationError: the snapshot is damaged.
        NotComparableError: the snapshot is of another corpus.
    """
    offset = draw_offset(baseline.tokens, seed)
    table = _compare(ShiftedPairs(baseline, corpus, offset), baseline, corpus, policy, memory_bytes)
    features = {name: _judge(table, i) for i, name in enumerate(table.names)}
    failed = sum(found.passed is False for found in features.values())
    judged = sum(found.passed is not None for found in features.values())
    return ControlOutcome(
        NAME,
        overall(features),
        f"With tokens paired at a distance of {offset}, identity collapsed for "
        f"{judged - failed} of {count(judged, 'feature')}.",
        {"offset": offset, "seed": seed, "judged": judged, "failed": failed},
        features,
    )


def _judge(table: VerdictTable, i: int) -> FeatureOutcome:
    estimand = IDENTITY[int(table.activity.dense[i])]
    verdict = str(table.verdict[i])
    found = table.inference[estimand]
    effect, margin = float(found.effect[i]), float(found.margin[i])
    figures = {
        "identity": effect,
        "lower": float(found.lower[i]),
        "upper": float(found.upper[i]),
        "margin": margin,
        "verdict": verdict,
    }
    if verdict == "insufficient":
        active = int(table.activity.active_clusters[i])
        return FeatureOutcome(
            None, f"Cannot be told: it is active in {count(active, 'document')} only.", figures
        )
    if verdict == "drifted":
        return FeatureOutcome(
            True,
            f"With shuffled pairing its identity collapses: {effect:.3g}, margin {margin:.3g}.",
            figures,
        )
    why = (
        f"1 − agreement is {effect:.3g} (to {figures['upper']:.3g}), margin {margin:.3g}"
        if np.isfinite(effect)
        else "it has one value at every token"
    )
    return FeatureOutcome(
        False,
        f"Its identity cannot fail: paired with other tokens, it still agrees with itself ({why}).",
        figures,
    )


def _compare(
    pairs: ShiftedPairs,
    reader: SnapshotReader,
    corpus: CorpusLabels,
    policy: Policy,
    memory_bytes: int,
) -> VerdictTable:
    """Verdicts from identity alone."""
    columns, clusters = reader.columns, corpus.clusters
    activities: list[Activity] = []
    parts: dict[Estimand, list[Estimates]] = {}

    def take(sums: PairedSums, *, dense: bool) -> None:
        step = max(_CELLS // max(clusters, 1), 1)
        for first in range(0, sums.both.shape[1], step):
            piece = sums.select(slice(first, first + step))
            activities.append(count_activity(piece, dense=dense))
            found = dense_estimates(piece) if dense else sparse_estimates(piece)
            parts.setdefault(IDENTITY[int(dense)], []).append(found[IDENTITY[int(dense)]])

    thresholds = np.array([column.threshold for column in columns.sparse], np.float64)
    for _, sums in sparse_blocks(pairs, clusters, thresholds, memory_bytes):
        take(sums, dense=False)
    if columns.dense:
        thresholds = np.array([column.threshold for column in columns.dense], np.float64)
        take(dense_totals(pairs, clusters, thresholds), dense=True)
    sparse = np.arange(len(columns.sparse))
    where: dict[Estimand, NDArray[np.intp]] = {
        IDENTITY[0]: sparse,
        IDENTITY[1]: np.arange(len(columns.dense)) + len(sparse),
    }
    return ladder.judge(
        tuple(column.name for column in (*columns.sparse, *columns.dense)),
        Activity.concatenate(activities),
        {estimand: (where[estimand], Estimates.concatenate(p)) for estimand, p in parts.items()},
        policy,
    )


def _joined(parts: list[TokenBlock]) -> tuple:
    if len(parts) == 1:
        return parts[0].sparse, parts[0].dense
    return (
        vstack([part.sparse for part in parts], format="csr"),
        np.concatenate([part.dense for part in parts]),
    )
