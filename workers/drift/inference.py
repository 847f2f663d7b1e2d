"""From an estimate and its variance to an interval and the two tests against a margin."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from workers.drift.estimands import Estimates
from workers.drift.policy import CLOSEST, CONCORDANCE, ONE_SIDED, Estimand, Policy
from workers.drift.shrinkage import heavy_tails, shrink

Array = NDArray[np.float64]

_ONE_END = 0.5
"""Share of what an AUROC's variance owes that widens its interval. The debt is the far end's alone
(`auroc.owed_variance`): a test looks at one end and pays it whole, an interval has two."""


@dataclass(frozen=True)
class Inference:
    """What is known of one estimand for some features; all arrays are [features].

    NaN in `effect` says that the estimand does not apply or the data cannot tell.
    """

    effect: Array
    lower: Array
    upper: Array
    se: Array
    """Standard error in the effect's units."""
    df: Array
    margin: Array
    margin_source: NDArray[np.object_]
    """Strings: what set the margin, as `Policy.margins` says it."""
    point: Array
    """The estimate on the scale where its distribution is closest to normal."""
    point_se: Array
    """Standard error of `point`; 0 where both sides are identical."""
    p_drifted: Array
    """Of the null hypothesis that the effect lies within the margin; 1 where nothing is known."""
    p_stable: Array
    """Of the null hypothesis that it lies outside (two one-sided tests; Schuirmann 1987)."""

    @cached_property
    def known(self) -> NDArray[np.bool_]:
        """Where there is an estimate to test."""
        return np.isfinite(self.effect)


def infer(
    estimand: Estimand, estimates: Estimates, policy: Policy, stratum: NDArray[np.intp]
) -> Inference:
    """Interval (confidence 1 − alpha), p_drifted and p_stable of one estimand.

    Variances are shrunk between the features given, stratum by stratum; t reference throughout.

    Args:
        estimates: of all features of the comparison that the estimand applies to.
        stratum: [features] from `firing_stratum`.
    """
    margin, margin_source = policy.margins(estimand, stratum)
    same = estimates.identical
    known = np.isfinite(estimates.point) & np.isfinite(estimates.variance) & ~same
    # Features that cannot be told, or are the same bit for bit, say nothing about others.
    deff = np.where(known, estimates.variance / estimates.unit, np.inf)
    df = estimates.df / heavy_tails(np.where(known, estimates.tails, np.nan), estimates.df, stratum)
    shrunk, df = shrink(deff, df, stratum)
    df = np.maximum(df, 1.0)
    seen = np.where(known, shrunk, 0.0) * estimates.unit
    se = np.sqrt(seen + estimates.extra)
    point = np.where(known, estimates.point, 0.0)

    owed = estimates.extra * (_ONE_END if estimand == "concept" else 1.0)
    reach = stats.t.ppf(1 - policy.alpha / 2, df) * np.sqrt(seen + owed)
    lower, upper = interval(estimand, point, reach, estimates.effect)
    high = to_working(estimand, margin)
    low = np.full_like(high, -np.inf) if estimand in ONE_SIDED else -high
    p_drifted = stats.t.sf(_ratio(np.maximum(point - high, low - point), se), df)
    p_stable = stats.t.sf(_ratio(np.minimum(high - point, point - low), se), df)

    missing = ~known & ~same
    nan = np.where(missing, np.nan, 0.0)
    return Inference(
        effect=np.where(same, 0.0, estimates.effect) + nan,
        lower=np.where(same, 0.0, lower) + nan,
        upper=np.where(same, 0.0, upper) + nan,
        se=np.where(same, 0.0, se * _slope(estimand, point)) + nan,
        df=df,
        margin=margin,
        margin_source=margin_source,
        point=np.where(same, to_working(estimand, np.zeros_like(point)), point) + nan,
        point_se=np.where(same, 0.0, se) + nan,
        p_drifted=np.where(same | missing, 1.0, p_drifted),
        p_stable=np.where(same, 0.0, np.where(missing, 1.0, p_stable)),
    )


def interval(estimand: Estimand, point: Array, reach: Array, effect: Array) -> tuple[Array, Array]:
    """Both ends of point ± reach, in the effect's units.

    An identity effect of exactly 0 has no token that contradicts it: its interval starts there.

    Args:
        point, reach: on the working scale.
        effect: the estimate in its own units.
    """
    lower, upper = (to_effect(estimand, point + x) for x in (-reach, reach))
    if estimand in ONE_SIDED:
        lower = np.where(effect == 0, 0.0, lower)
    if estimand in CONCORDANCE:
        # Nearer than this the working scale tells no distances: anything down to 0 is possible.
        lower = np.where(effect <= CLOSEST, 0.0, lower)
        upper = np.where(effect >= 2 - CLOSEST, 2.0, upper)
    return lower, upper


def _ratio(difference: Array, se: Array) -> Array:
    """difference / se, where an estimate without error is infinitely far from what it is not."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(difference == 0, 0.0, difference / se)


def to_effect(estimand: Estimand, point: Array) -> Array:
    """From the working scale to the effect's units."""
    if estimand == "identity_sparse":
        return np.exp(-np.logaddexp(0, -point))
    if estimand in CONCORDANCE:
        return 1 + np.tanh(point)
    return point


def to_working(estimand: Estimand, effect: Array) -> Array:
    """From the effect's units to the working scale."""
    with np.errstate(divide="ignore", invalid="ignore"):
        if estimand == "identity_sparse":
            # A noise floor at or above 1 means that no identity effect can count.
            return np.where(effect < 1, np.log(effect / (1 - effect)), np.inf)
        if estimand in CONCORDANCE:
            return np.where(effect < 2, np.arctanh(effect - 1), np.inf)
        return effect


def _slope(estimand: Estimand, point: Array) -> Array:
    """Derivative of the effect by the working scale, for the delta method."""
    if estimand == "identity_sparse":
        share = to_effect(estimand, point)
        return share * (1 - share)
    if estimand in CONCORDANCE:
        return 1 - np.tanh(point) ** 2
    return np.ones_like(point)
