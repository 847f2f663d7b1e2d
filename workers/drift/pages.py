"""Pages: which changes are worth waking someone for, among many correlated features.

Intervals of all (feature, estimand) hold at once with confidence 1 − alpha. Their half-width comes
from the distribution of the largest |t| of the family (max-T; Westfall and Young 1993), drawn with
the documents' influence values as they are and random multipliers (Mammen 1993; Chernozhukov,
Chetverikov and Kato 2013), so that features which move together count less than as many tests.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from workers.drift.inference import interval, to_working
from workers.drift.policy import ONE_SIDED, Estimand
from workers.drift.verdicts import VerdictTable

Array = NDArray[np.float64]

_CHUNK = 500
"""Draws multiplied at once."""


@dataclass(frozen=True)
class PageRequest:
    """Which features may page, and how often falsely.

    Raises:
        ValueError: a number is out of range.
    """

    features: Collection[str] | None
    """None for all."""
    alpha: float
    """Probability of any false page in this comparison."""
    draws: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha is {self.alpha}; it must lie between 0 and 1")
        if self.draws < 100:
            raise ValueError(f"{self.draws} draws show no distribution; ask for at least 100")

    def asks_for(self, names: Collection[str]) -> NDArray[np.bool_]:
        """[names] which of some features may page."""
        if self.features is None:
            return np.ones(len(names), bool)
        wanted = set(self.features)
        return np.array([name in wanted for name in names], bool)


class MaxT:
    """The null distribution of the largest |z| over a family that arrives in blocks.

    Each draw gives every cluster one random multiplier, the same for all features. Signs keep the
    influence values' own distribution, skewness apart; but where few clusters carry a feature
    their sums have lighter tails than the normal distribution (with one cluster, |z| is always 1).
    Normal multipliers have the same correlations and never lighter tails. The larger quantile of
    the two counts. Memory is that of the multipliers, draws × clusters.
    """

    def __init__(self, clusters: int, draws: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self._signs = rng.integers(0, 2, (draws, clusters), np.int8) * 2 - 1
        self._normals = rng.standard_normal((draws, clusters), np.float32)
        self.maxima = np.zeros((2, draws))
        """Of signs and of normals."""
        self.tests = 0

    def add(self, influence: Array, rows: NDArray[np.int64] | None = None) -> None:
        """Take some more tests into the family.

        Args:
            influence: [clusters, tests] centred influence values. A test without variance is
                certain whatever is drawn, and is left out like one that is not finite.
            rows: the clusters these are of, if not all; the others have none.
        """
        with np.errstate(invalid="ignore"):
            norm = np.sqrt((influence**2).sum(0))
        usable = np.isfinite(norm) & (norm > 0)
        if not usable.any():
            return
        self.tests += int(usable.sum())
        scaled = (influence[:, usable] / norm[usable]).astype(np.float32)
        for row, multipliers in zip(self.maxima, (self._signs, self._normals), strict=True):
            for first in range(0, len(multipliers), _CHUNK):
                part = slice(first, first + _CHUNK)
                drawn = multipliers[part] if rows is None else multipliers[part, rows]
                z = np.abs(drawn.astype(np.float32) @ scaled).max(1)
                row[part] = np.maximum(row[part], z)

    def critical(self, alpha: float) -> float:
        """How many standard errors, of normal estimates, hold for all tests at once.

        The ⌈(1 − alpha)(draws + 1)⌉-th smallest maximum. Where alpha is too small for the draws to
        show that quantile, Bonferroni's bound, or the largest draw if that is more. At least the
        quantile of a single test.
        """
        single = float(stats.norm.isf(alpha / 2))
        draws = self.maxima.shape[1]
        rank = ceil((1 - alpha) * (draws + 1))
        if rank > draws:
            bonferroni = float(stats.norm.isf(alpha / (2 * max(self.tests, 1))))
            return max(single, bonferroni, float(self.maxima.max()))
        ordered = np.partition(self.maxima, rank - 1, axis=1)[:, rank - 1]
        return max(single, float(ordered.max()))


@dataclass(frozen=True)
class Pages:
    """Simultaneous intervals of the features that may page; arrays are [features]."""

    names: tuple[str, ...]
    alpha: float
    critical: float
    """Half-width of the intervals in standard errors, of an estimate with a known variance."""
    tests: int
    """(Feature, estimand) pairs in the family."""
    paged: NDArray[np.bool_]
    intervals: Mapping[Estimand, tuple[Array, Array]]
    """NaN outside the family."""

    def of(self, name: str) -> dict[str, Any]:
        """What is known of one feature, for JSON; no intervals for one outside the family."""
        i = self._position.get(name)
        ends = {} if i is None else {e: (lo[i], hi[i]) for e, (lo, hi) in self.intervals.items()}
        return {
            "paged": i is not None and bool(self.paged[i]),
            "alpha": self.alpha,
            "critical": self.critical,
            "intervals": {
                estimand: [float(x) for x in pair]
                for estimand, pair in ends.items()
                if np.isfinite(pair).all()
            },
        }

    @cached_property
    def _position(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.names)}


def page(
    table: VerdictTable, family: Mapping[Estimand, NDArray[np.bool_]], null: MaxT, alpha: float
) -> Pages:
    """Simultaneous intervals, and the features one of which lies wholly outside its margin.

    The quantile of the maximum is one of normal estimates. Each feature's own reach is the t
    quantile, with its own degrees of freedom, of the same tail probability: the dependence is
    taken from the draws, the marginal distribution from the number of clusters behind the
    variance. A common multiple would be too short for the features with fewest clusters.
    An effect without error, such as every value doubled, is decided by where it lies.

    Args:
        family: by estimand, [features] whether the feature's influence values went into `null`.
    """
    critical = null.critical(alpha)
    tail = stats.norm.sf(critical)
    paged = np.zeros(len(table), bool)
    intervals: dict[Estimand, tuple[Array, Array]] = {}
    for estimand, found in table.inference.items():
        inside = family.get(estimand, np.zeros(len(table), bool))
        inside = inside & found.known
        effect, point, margin, se, df = (
            x[inside] for x in (found.effect, found.point, found.margin, found.point_se, found.df)
        )
        reach = stats.t.isf(tail, df) * se
        limit = to_working(estimand, margin)
        beyond = point - reach > limit
        if estimand not in ONE_SIDED:
            beyond |= point + reach < -limit
        paged[inside] |= beyond
        ends = np.full((2, len(table)), np.nan)
        ends[:, inside] = interval(estimand, point, reach, effect)
        intervals[estimand] = (ends[0], ends[1])
    return Pages(table.names, alpha, critical, null.tests, paged, intervals)
