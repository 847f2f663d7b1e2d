"""Sufficient statistics of two paired snapshots: sums per cluster and feature.

A cluster is a document, or a group of documents that belong together; it is the unit of inference.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Counts = NDArray[np.int32]
Sums = NDArray[np.float64]
Clusters = NDArray[np.integer]


@dataclass(frozen=True)
class PairedSums:
    """Sums over the tokens of each cluster, with a the baseline's and b the candidate's value.

    All arrays are [clusters, features] except `tokens`. Sums of disjoint sets of tokens add up.
    """

    tokens: NDArray[np.int64]
    """[clusters] n."""
    both: Counts
    """N₁₁: tokens where both sides are on."""
    only_a: Counts
    """N₁₀: on in the baseline only."""
    only_b: Counts
    """N₀₁: on in the candidate only."""
    sum_a: Sums
    sum_b: Sums
    sum_aa: Sums
    sum_bb: Sums
    sum_ab: Sums
    co_a: Sums
    """Σa over tokens where both sides are on."""
    co_b: Sums
    """Σb over tokens where both sides are on."""

    @classmethod
    def zeros(cls, clusters: int, features: int) -> "PairedSums":
        """The sums over no token."""
        shape = (clusters, features)
        both, only_a, only_b = (np.zeros(shape, np.int32) for _ in range(3))
        moments = (np.zeros(shape) for _ in range(7))
        return cls(np.zeros(clusters, np.int64), both, only_a, only_b, *moments)

    def __add__(self, other: "PairedSums") -> "PairedSums":
        return PairedSums(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def add_rows(self, clusters: Clusters, other: "PairedSums") -> None:
        """Add sums over some of the clusters in place: streaming must not copy the whole.

        Args:
            clusters: [rows of other] distinct cluster of each row.
        """
        for f in fields(self):
            getattr(self, f.name)[clusters] += getattr(other, f.name)

    def select(self, features: slice | NDArray[np.intp]) -> "PairedSums":
        """Some features: views of a range of them, copies of chosen ones."""
        return PairedSums(
            self.tokens,
            *(getattr(self, f.name)[:, features] for f in fields(self) if f.name != "tokens"),
        )

    @staticmethod
    def bytes_per_cell() -> int:
        """Memory of one (cluster, feature)."""
        return 3 * 4 + 7 * 8


def sparse_sums(
    a: csr_array, b: csr_array, cluster: Clusters, clusters: int, thresholds: NDArray[np.float64]
) -> PairedSums:
    """Sums of sparse features, by products with the indicator matrix of the clusters.

    Args:
        a, b: [tokens, features] baseline and candidate, canonical CSR (columns ascending, no
            duplicates); a value that is not stored is 0.
        cluster: [tokens] cluster of each token; −1 for a token that does not count.
        clusters: number of clusters.
        thresholds: [features] on means above; not negative, else unstored zeros would be on.

    Raises:
        ValueError: shapes differ, or a threshold is negative.
    """
    if a.shape != b.shape or a.shape[0] != len(cluster) or a.shape[1] != len(thresholds):
        raise ValueError(
            f"baseline {a.shape}, candidate {b.shape}, {len(cluster)} clusters and "
            f"{len(thresholds)} thresholds do not fit together"
        )
    if (thresholds < 0).any():
        raise ValueError(
            f"threshold {thresholds.min():g} of a sparse feature is negative, so that every "
            "unstored zero would be on; use 0 or more"
        )
    order = np.argsort(cluster, kind="stable")
    bounds = np.searchsorted(cluster[order], np.arange(clusters + 1))
    counted = order[bounds[0] :]
    indicator = csr_array(
        (np.ones(len(counted)), counted, bounds - bounds[0]), shape=(clusters, len(cluster))
    )

    def per_cluster(matrix: csr_array) -> Sums:
        return np.asarray((indicator @ matrix).toarray(), dtype=np.float64)

    a, b = _with_data(a, a.data.astype(np.float64)), _with_data(b, b.data.astype(np.float64))
    on_a = _with_data(a, (a.data > thresholds[a.indices]).astype(np.float64))
    on_b = _with_data(b, (b.data > thresholds[b.indices]).astype(np.float64))
    both = on_a.multiply(on_b).tocsr()
    n11, n1, n2 = per_cluster(both), per_cluster(on_a), per_cluster(on_b)
    return PairedSums(
        np.diff(bounds).astype(np.int64),
        n11.astype(np.int32),
        (n1 - n11).astype(np.int32),
        (n2 - n11).astype(np.int32),
        per_cluster(a),
        per_cluster(b),
        per_cluster(_with_data(a, a.data**2)),
        per_cluster(_with_data(b, b.data**2)),
        per_cluster(a.multiply(b).tocsr()),
        per_cluster(a.multiply(both).tocsr()),
        per_cluster(b.multiply(both).tocsr()),
    )


def dense_sums(
    a: NDArray[np.floating],
    b: NDArray[np.floating],
    cluster: Clusters,
    clusters: int,
    thresholds: NDArray[np.float64],
) -> PairedSums:
    """Sums of dense features.

    Args:
        a, b: [tokens, features] baseline and candidate.
        cluster, clusters, thresholds: as for `sparse_sums`; thresholds may be negative.

    Raises:
        ValueError: shapes differ.
    """
    if a.shape != b.shape or a.shape != (len(cluster), len(thresholds)):
        raise ValueError(
            f"baseline {a.shape}, candidate {b.shape}, {len(cluster)} clusters and "
            f"{len(thresholds)} thresholds do not fit together"
        )
    order = np.argsort(cluster, kind="stable")
    bounds = np.searchsorted(cluster[order], np.arange(clusters + 1))
    counted = order[bounds[0] :]
    bounds = bounds - bounds[0]
    x, y = a[counted].astype(np.float64), b[counted].astype(np.float64)
    present = np.diff(bounds) > 0

    def per_cluster(matrix: Sums) -> Sums:
        sums = np.zeros((clusters, matrix.shape[1]))
        if present.any():
            sums[present] = np.add.reduceat(matrix, bounds[:-1][present], axis=0)
        return sums

    on_a, on_b = x > thresholds, y > thresholds
    both = on_a & on_b
    return PairedSums(
        np.diff(bounds).astype(np.int64),
        per_cluster(both.astype(np.float64)).astype(np.int32),
        per_cluster((on_a & ~on_b).astype(np.float64)).astype(np.int32),
        per_cluster((on_b & ~on_a).astype(np.float64)).astype(np.int32),
        per_cluster(x),
        per_cluster(y),
        per_cluster(x * x),
        per_cluster(y * y),
        per_cluster(x * y),
        per_cluster(np.where(both, x, 0.0)),
        per_cluster(np.where(both, y, 0.0)),
    )


def _with_data(matrix: csr_array, data: Sums) -> csr_array:
    return csr_array((data, matrix.indices, matrix.indptr), shape=matrix.shape)
