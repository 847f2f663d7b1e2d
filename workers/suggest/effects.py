"""How much more often a latent fires where the concept is."""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from workers.drift.estimands import effective_clusters, jackknife

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Firing:
    """Shares of tokens at which a latent is on, and the logarithm of their ratio."""

    with_concept: float
    without_concept: float
    log_ratio: float
    lower: float
    upper: float


def firing(
    values: NDArray[np.floating],
    positive: NDArray[np.bool_],
    cluster: NDArray[np.integer],
    alpha: float,
) -> Firing:
    """log[(N₁₊+½)/(N₊+1)] − log[(N₁₋+½)/(N₋+1)], with a delete-one-document jackknife.

    Args:
        values, positive, cluster: [tokens]; a latent is on where its value exceeds 0.
        alpha: the interval has confidence 1 − alpha.
    """
    _, unit = np.unique(cluster, return_inverse=True)
    units = int(unit.max()) + 1
    on = values > 0
    on_with, on_without, all_with, all_without = (
        np.bincount(unit, mask, units)[:, None].astype(np.float64)
        for mask in (on & positive, on & ~positive, positive, ~positive)
    )
    point, variance, _ = jackknife(_log_ratio, (on_with, on_without, all_with, all_without))
    # The jackknife cannot see the document that would break a tie of none with none.
    owed = 1 / (on_with.sum() + 0.5) ** 2 + 1 / (on_without.sum() + 0.5) ** 2
    df = max(float(min(effective_clusters(s)[0] for s in (all_with, all_without))) - 1, 1.0)
    spread = float(variance[0]) + owed
    reach = float(stats.t.ppf(1 - alpha / 2, df)) * sqrt(spread) if np.isfinite(spread) else np.inf
    return Firing(
        float(on_with.sum() / all_with.sum()),
        float(on_without.sum() / all_without.sum()),
        float(point[0]),
        float(point[0]) - reach,
        float(point[0]) + reach,
    )


def _log_ratio(a: Array, b: Array, m: Array, n: Array) -> Array:
    return np.asarray(np.log((a + 0.5) * (n + 1) / ((b + 0.5) * (m + 1))), np.float64)
