"""Error rates over many tests: Holm, Benjamini–Hochberg, and Wilson's interval of a share."""

from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]


def holm(p: Array) -> Array:
    """Adjusted p-values that control the family-wise error over the last axis (Holm 1979).

    Args:
        p: [..., tests]; NaN is a test that was not made and counts for nothing.

    Returns:
        [..., tests] adjusted p-values, NaN where p is.
    """
    tests = np.isfinite(p).sum(-1, keepdims=True)
    order = np.argsort(p, axis=-1)  # NaN sorts last
    rank = np.arange(p.shape[-1])
    scaled = np.take_along_axis(p, order, -1) * np.maximum(tests - rank, 0)
    adjusted = np.minimum(np.maximum.accumulate(scaled, axis=-1), 1)
    result = np.empty_like(p)
    np.put_along_axis(result, order, adjusted, -1)
    return result


def benjamini_hochberg(p: Array) -> Array:
    """Adjusted p-values that control the false discovery rate (Benjamini and Hochberg 1995).

    Args:
        p: [tests]; NaN is a test that was not made and counts for nothing.

    Returns:
        [tests] q-values, NaN where p is.
    """
    q = np.full_like(p, np.nan)
    tested = np.flatnonzero(np.isfinite(p))
    if tested.size:
        order = tested[np.argsort(p[tested])]
        scaled = p[order] * tested.size / np.arange(1, tested.size + 1)
        q[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1)
    return q


def wilson(successes: int, trials: int, alpha: float = 0.05) -> tuple[float, float] | None:
    """Wilson's (1927) score interval of a share with confidence 1 − alpha; None of no trials."""
    if trials == 0:
        return None
    z = float(stats.norm.ppf(1 - alpha / 2))
    share = successes / trials
    scale = 1 + z * z / trials
    centre = (share + z * z / (2 * trials)) / scale
    reach = z * sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)) / scale
    return (
        0.0 if successes == 0 else centre - reach,
        1.0 if successes == trials else centre + reach,
    )
