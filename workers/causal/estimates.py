"""Effects as ratios of sums over documents, with delete-one-cluster jackknife errors.

A ratio of sums Σx/Σm has the jackknife in closed form: leaving cluster c out gives
(Σx − x_c)/(Σm − m_c) (Miller 1974). Degrees of freedom are those of clusters of unequal size.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from workers.causal.measurement import CausalMeasurement
from workers.drift.estimands import effective_clusters
from workers.drift.estimands import jackknife as delete_one

Array = NDArray[np.float64]

KL_FLOOR = 1e-7
"""Nats. Logits in single precision tell no smaller KL from 0."""


@dataclass(frozen=True)
class Estimate:
    """One number with its error."""

    value: float
    variance: float
    df: float

    def interval(self, alpha: float) -> tuple[float, float]:
        """The t interval of level 1 − alpha; infinite where the error is not known."""
        if self.variance == 0:
            return self.value, self.value
        if not np.isfinite(self.variance) or self.df <= 0:
            return -np.inf, np.inf
        reach = float(stats.t.ppf(1 - alpha / 2, self.df)) * self.variance**0.5
        return self.value - reach, self.value + reach

    def widened(self, variance: float, df: float) -> "Estimate":
        """With an independent error added; degrees of freedom by Satterthwaite (1946)."""
        total = self.variance + variance
        if variance == 0:
            return self
        if not np.isfinite(total) or df <= 0 or self.df <= 0:
            return Estimate(self.value, np.inf, 0.0)
        parts = self.variance**2 / self.df + variance**2 / df
        return Estimate(self.value, total, total**2 / parts)


@dataclass(frozen=True)
class ClusterSums:
    """One feature's sums by cluster of documents; arrays [C], `random_kl` [C, R]."""

    tokens: Array
    kl: Array
    loss: Array
    random_kl: Array
    random_loss: Array
    inactive_tokens: Array
    inactive_kl: Array

    @property
    def clusters(self) -> int:
        """Clusters in which the feature is on."""
        return int((self.tokens > 0).sum())

    @property
    def excess(self) -> Array:
        """[C] Σ KL of the feature less that of the random directions' mean."""
        return self.kl - self.random_kl.mean(axis=1)


def cluster_sums(
    measurement: CausalMeasurement, feature: int, groups: NDArray[np.int64], clusters: int
) -> ClusterSums:
    """Sums of one feature by cluster.

    Args:
        groups: [documents of the corpus] cluster of each document, 0 to `clusters` − 1.
    """
    of = groups[measurement.documents]

    def total(values: Array) -> Array:
        result = np.zeros(clusters)
        np.add.at(result, of, values)
        return result

    m = measurement
    flat = (m.tokens, m.kl, m.loss, m.random_loss.mean(axis=1), m.inactive_tokens, m.inactive_kl)
    tokens, kl, loss, random_loss, inactive_tokens, inactive_kl = (total(x[feature]) for x in flat)
    random_kl = np.stack([total(row) for row in m.random_kl[feature]], axis=1)
    return ClusterSums(tokens, kl, loss, random_kl, random_loss, inactive_tokens, inactive_kl)


def ratio(numerator: Array, denominator: Array) -> Estimate:
    """Σ numerator / Σ denominator over clusters [C]."""
    return jackknife(lambda x, m: x / m, (numerator, denominator), denominator)


def jackknife(
    statistic: Callable[..., Array], parts: tuple[Array, ...], sizes: Array, *more: Array
) -> Estimate:
    """A function of sums over clusters, with its delete-one-cluster variance.

    Args:
        statistic: of totals, elementwise.
        parts: arrays [C] that it takes summed.
        sizes, more: [C] tokens per cluster, of one or several measurements; the fewest degrees of
            freedom of them count.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        point, variance, _ = delete_one(statistic, tuple(x[:, None] for x in parts))
    df = min(float(effective_clusters(x[:, None])[0]) for x in (sizes, *more)) - 1
    return Estimate(float(point[0]), float(variance[0]), df)


def deleted_variance(left_out: Array, point: float) -> float:
    """(C−1)/C Σ(θ₍c₎ − θ)²; infinite of fewer than two clusters or where one carries all."""
    clusters = len(left_out)
    if clusters < 2 or not np.isfinite(left_out).all():
        return float("inf")
    return float((clusters - 1) / clusters * ((left_out - point) ** 2).sum())


def random_spread(sums: ClusterSums) -> tuple[float, int]:
    """How much random directions of one feature differ: variance of log mean KL, and its df."""
    kl = np.maximum(sums.random_kl.sum(axis=0) / max(sums.tokens.sum(), 1), KL_FLOOR)
    return (float(np.log(kl).var(ddof=1)), len(kl) - 1) if len(kl) > 1 else (0.0, 0)


def log_ratio(sums: ClusterSums) -> Estimate:
    """log of the feature's mean KL over the geometric mean of its random directions' mean KL."""

    def statistic(tokens: Array, kl: Array, *random: Array) -> Array:
        logs = [np.log(np.maximum(x / tokens, KL_FLOOR)) for x in random]
        return np.log(np.maximum(kl / tokens, KL_FLOOR)) - np.mean(logs, axis=0)

    parts = (sums.tokens, sums.kl, *sums.random_kl.T)
    return jackknife(statistic, parts, sums.tokens)


def cosine(a: Array, b: Array, alpha: float) -> tuple[float, float, float] | None:
    """Cosine of two summed vectors with an interval of level 1 − alpha on Fisher's z.

    Args:
        a, b: [C, K] sums by cluster.

    Returns:
        Cosine, lower and upper bound; None where a sum is 0, or fewer than two clusters tell.
    """
    told = (a != 0).any(axis=1) | (b != 0).any(axis=1)
    a, b = a[told], b[told]
    if len(a) < 2:
        return None
    if np.array_equal(a, b):
        return (1.0, 1.0, 1.0) if a.sum(axis=0).any() else None
    total_a, total_b = a.sum(axis=0), b.sum(axis=0)
    if not total_a.any() or not total_b.any():
        return None
    point = _z(total_a[None], total_b[None])[0]
    variance = deleted_variance(_z(total_a - a, total_b - b), point)
    estimate = Estimate(float(point), variance, float(len(a) - 1))
    lower, upper = estimate.interval(alpha)
    return float(np.tanh(point)), float(np.tanh(lower)), float(np.tanh(upper))


def _z(a: Array, b: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        return np.arctanh(np.clip((a * b).sum(axis=1) / norms, -1 + 1e-15, 1 - 1e-15))
