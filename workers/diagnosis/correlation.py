"""Correlation of a held-out read-out with the baseline's values, clustered by document."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from workers.drift.estimands import effective_clusters
from workers.drift.sums import PairedSums

Array = NDArray[np.float64]
_PRECISION = 1e-10


@dataclass(frozen=True)
class Correlation:
    """Pearson's r of some features, or a difference of two; all arrays are [features].

    NaN where a side is constant, or where one cluster carries everything.
    """

    point: Array
    lower: Array
    upper: Array

    def figure(self, index: int) -> dict[str, Any]:
        """One feature's, as plain JSON values."""
        names = ("point", "lower", "upper")
        found = {name: float(getattr(self, name)[index]) for name in names}
        return {name: value if np.isfinite(value) else None for name, value in found.items()}


def correlation(sums: PairedSums, alpha: float) -> Correlation:
    """r with its interval of confidence 1 − alpha.

    Delete-one-cluster jackknife on Fisher's z = artanh r, t reference with the effective number of
    clusters less one (Kish 1965) as degrees of freedom.
    """
    point, without = _leave_one_out(sums)
    z, variance = _jackknife(_fisher(point), _fisher(without), sums)
    reach = _reach(sums, alpha) * np.sqrt(variance)
    return Correlation(point, np.tanh(z - reach), np.tanh(z + reach))


def difference(mine: PairedSums, other: PairedSums, alpha: float) -> Correlation:
    """r of one read-out less r of another on the same clusters: paired, cluster by cluster."""
    (point, without), (point2, without2) = _leave_one_out(mine), _leave_one_out(other)
    _, variance = _jackknife(point - point2, without - without2, mine)
    reach = _reach(mine, alpha) * np.sqrt(variance)
    return Correlation(point - point2, point - point2 - reach, point - point2 + reach)


def best_of(candidates: Sequence[PairedSums]) -> PairedSums:
    """Of each feature, the sums with the largest correlation.

    Args:
        candidates: of the same features over the same tokens.
    """
    points = [np.nan_to_num(_leave_one_out(sums)[0], nan=-1.0) for sums in candidates]
    choice = np.argmax(points, axis=0)
    chosen = {
        f.name: np.choose(choice, [getattr(sums, f.name) for sums in candidates])
        for f in fields(PairedSums)
        if f.name != "tokens"
    }
    return PairedSums(candidates[0].tokens, **chosen)


def _leave_one_out(sums: PairedSums) -> tuple[Array, Array]:
    """r, and r without each cluster [clusters, features]."""
    n = sums.tokens.astype(np.float64)[:, None]
    parts = [n, sums.sum_a, sums.sum_b, sums.sum_aa, sums.sum_bb, sums.sum_ab]
    totals = [p.sum(0) for p in parts]
    return _r(*totals), _r(*(t - p for t, p in zip(totals, parts, strict=True)))


def _r(n: Array, a: Array, b: Array, aa: Array, bb: Array, ab: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        mean_a, mean_b = a / n, b / n
        va, vb = aa / n - mean_a**2, bb / n - mean_b**2
        r = (ab / n - mean_a * mean_b) / np.sqrt(va * vb)
    told = (va > _PRECISION * np.abs(aa / np.maximum(n, 1))) & (
        vb > _PRECISION * np.abs(bb / np.maximum(n, 1))
    )
    return np.where(told, np.clip(r, -1, 1), np.nan)


_PERFECT = 1 - 1e-4
"""Beyond this, what is left is rounding and a few flips at a threshold, and z would be ruled by
them: one document could move it by several units. No threshold here lies near."""


def _fisher(r: Array) -> Array:
    return np.arctanh(np.clip(r, -_PERFECT, _PERFECT))


def _jackknife(point: Array, without: Array, sums: PairedSums) -> tuple[Array, Array]:
    present = (sums.tokens > 0)[:, None]
    clusters = int(present.sum())
    deviation = np.where(present, without - point, 0.0)
    variance = (clusters - 1) / max(clusters, 1) * (deviation**2).sum(0)
    return point, np.where((clusters > 1) & np.isfinite(variance), variance, np.nan)


def _reach(sums: PairedSums, alpha: float) -> Array:
    # Where a feature is silent in most documents, those that have it decide how sure r is.
    weight = np.maximum(sums.sum_aa, 0.0)
    tokens = np.broadcast_to(sums.tokens.astype(np.float64)[:, None], weight.shape)
    sparse = (sums.sum_a == 0).any(0)
    df = effective_clusters(np.where(sparse, weight, tokens)) - 1
    return np.asarray(stats.t.ppf(1 - alpha / 2, np.maximum(df, 1.0)))
