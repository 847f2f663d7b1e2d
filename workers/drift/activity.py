"""How often and where a feature fires: exact counts, and the sign test over documents."""

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from workers.drift.sums import PairedSums

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Activity:
    """Counts of some features; all arrays are [features]."""

    dense: NDArray[np.bool_]
    """Whether the feature has a value at every token."""
    tokens: Ints
    clusters: Ints
    """Clusters with a token that counts."""
    active_clusters: Ints
    """G_active: clusters where either side is on; for dense features all with a token."""
    tokens_a: Ints
    """Tokens where the baseline is on."""
    tokens_b: Ints
    clusters_only_a: Ints
    """Clusters where the baseline is on somewhere and the candidate nowhere."""
    clusters_only_b: Ints

    @staticmethod
    def concatenate(parts: list["Activity"]) -> "Activity":
        """Features one after another."""
        return Activity(
            *(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Activity))
        )

    @cached_property
    def firing_a(self) -> Array:
        """[features] share of tokens where the baseline is on."""
        return self.tokens_a / np.maximum(self.tokens, 1)

    @cached_property
    def firing_b(self) -> Array:
        """[features] share of tokens where the candidate is on."""
        return self.tokens_b / np.maximum(self.tokens, 1)

    @cached_property
    def dead(self) -> NDArray[np.bool_]:
        """Sparse features that fire in the baseline and never in the candidate."""
        return ~self.dense & (self.tokens_a > 0) & (self.tokens_b == 0)

    @cached_property
    def born(self) -> NDArray[np.bool_]:
        """Sparse features that never fire in the baseline and do in the candidate."""
        return ~self.dense & (self.tokens_a == 0) & (self.tokens_b > 0)

    @cached_property
    def sign_test_p(self) -> Array:
        """[features] exact two-sided p of the sign test over discordant clusters (McNemar 1947).

        1 where no cluster is discordant.
        """
        discordant = self.clusters_only_a + self.clusters_only_b
        fewer = np.minimum(self.clusters_only_a, self.clusters_only_b)
        return np.minimum(2 * stats.binom.cdf(fewer, discordant, 0.5), 1.0)


def count_activity(sums: PairedSums, *, dense: bool) -> Activity:
    """The counts of the features of some sums."""
    on_a = (sums.both > 0) | (sums.only_a > 0)
    on_b = (sums.both > 0) | (sums.only_b > 0)
    features = sums.both.shape[1]
    clusters = np.full(features, np.count_nonzero(sums.tokens), np.int64)
    both = sums.both.sum(0, dtype=np.int64)
    return Activity(
        dense=np.full(features, dense),
        tokens=np.full(features, sums.tokens.sum(), np.int64),
        clusters=clusters,
        active_clusters=clusters if dense else (on_a | on_b).sum(0, dtype=np.int64),
        tokens_a=both + sums.only_a.sum(0, dtype=np.int64),
        tokens_b=both + sums.only_b.sum(0, dtype=np.int64),
        clusters_only_a=(on_a & ~on_b).sum(0, dtype=np.int64),
        clusters_only_b=(on_b & ~on_a).sum(0, dtype=np.int64),
    )
