"""Streaming paired snapshots into sums, by blocks of features and of tokens."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from workers.comparison.pairing import Int64, Pairs
from workers.drift.sums import PairedSums, dense_sums, sparse_sums

MEMORY_BYTES = 1 << 30
"""The sums of one block of features stay below this."""
_LOCAL_BYTES = 192 << 20
"""The sums of one block of tokens stay below this, where one cluster's do."""
_MAX_TOKENS = 65536
_DENSE_VALUES = 1 << 20
"""Values of dense features in one block of tokens."""


def sparse_blocks(
    pairs: Pairs, clusters: int, thresholds: NDArray[np.float64], memory_bytes: int = MEMORY_BYTES
) -> Iterator[tuple[slice, PairedSums]]:
    """The sums of all sparse features, one block of features after another."""
    width = max(memory_bytes // (PairedSums.bytes_per_cell() * max(clusters, 1)), 1)
    cluster = pairs.units.cluster
    for first in range(0, len(thresholds), width):
        columns = slice(first, min(first + width, len(thresholds)))
        features = columns.stop - columns.start
        total = PairedSums.zeros(clusters, features)
        bounds = token_bounds(cluster, _LOCAL_BYTES // (PairedSums.bytes_per_cell() * features))
        for block in pairs.blocks(bounds, columns):
            present, local = _local(cluster[block.start : block.start + block.sparse_a.shape[0]])
            total.add_rows(
                present,
                sparse_sums(
                    block.sparse_a, block.sparse_b, local, len(present), thresholds[columns]
                ),
            )
        yield columns, total


def dense_totals(pairs: Pairs, clusters: int, thresholds: NDArray[np.float64]) -> PairedSums:
    """The sums of all dense features."""
    total = PairedSums.zeros(clusters, len(thresholds))
    cluster = pairs.units.cluster
    step = max(_DENSE_VALUES // max(len(thresholds), 1), 1)
    bounds = [*range(0, len(cluster), step), len(cluster)]
    for block in pairs.blocks(bounds, slice(0, 0)):
        present, local = _local(cluster[block.start : block.start + len(block.dense_a)])
        total.add_rows(
            present,
            dense_sums(block.dense_a, block.dense_b, local, len(present), thresholds),
        )
    return total


def token_bounds(cluster: Int64, max_clusters: int) -> list[int]:
    """Where to cut the units so that no piece is long or touches too many clusters.

    Args:
        cluster: [units] cluster of each unit, in runs of equal values.
        max_clusters: of one piece, at least 1 being allowed whatever is asked.
    """
    starts = np.flatnonzero(np.diff(cluster, prepend=-2))
    bounds = [0]
    while bounds[-1] < len(cluster):
        start = bounds[-1]
        # A run counts as a cluster: pieces are never larger than allowed, at times smaller.
        run = int(np.searchsorted(starts, start, side="right")) - 1 + max(max_clusters, 1)
        stop = int(starts[run]) if run < len(starts) else len(cluster)
        bounds.append(min(stop, start + _MAX_TOKENS))
    return bounds


def _local(cluster: Int64) -> tuple[Int64, Int64]:
    """The clusters of a block, and the units numbered by them; −1 stays −1."""
    present, local = np.unique(cluster, return_inverse=True)
    if present.size and present[0] == -1:
        return present[1:], local - 1
    return present, local
