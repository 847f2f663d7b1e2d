"""Slow drift: many small steps in one direction, none of them beyond a margin.

An exponentially weighted moving average (EWMA; Roberts 1959) of a feature's effect against its
pinned baseline. Benign noise from update to update averages out; what accumulates does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from scipy import stats

from workers.drift.policy import ONE_SIDED, Estimand


@dataclass(frozen=True)
class Point:
    """One estimand of one feature at one checkpoint, on the estimand's own scale."""

    effect: float
    """Against the pinned baseline; NaN where it could not be told."""
    se: float
    checkpoint: str = ""
    same_baseline: bool = True
    """Whether the baseline is the previous point's; False where somebody pinned another."""
    step_effect: float | None = None
    """Against the previous checkpoint; needed where the baseline moved, else not read."""
    step_se: float | None = None


@dataclass(frozen=True)
class Trend:
    """Where the average stands after the last point."""

    alarm: bool
    level: float
    """EWMA of the effect."""
    se: float
    limit: float
    """|level| above this raises the alarm, unless the newest effect is surely back within."""
    points: int
    """Checkpoints with a known effect."""
    restarted: str | None
    """The checkpoint from which the series counts, where an earlier part could not be joined."""
    estimand: Estimand | None = None

    def to_json(self) -> dict[str, Any]:
        """The figures, for a report."""
        return dict(vars(self))


def slow_drift(
    series: Sequence[Point],
    margin: float,
    *,
    weight: float = 0.2,
    margin_share: float = 0.5,
    alpha: float = 0.001,
    estimand: Estimand | None = None,
) -> Trend:
    """EWMA of a series of effects, and whether it has left a share of the margin.

    Zₖ = w·effectₖ + (1 − w)·Zₖ₋₁ with Z₀ = 0; alarm when |Zₖ| > margin_share·margin + z·SEₖ, with z
    the 1 − alpha quantile, unless the newest effect itself is surely within that share: what has
    come back drifts no more. An effect beyond the margin counts as the margin (winsorised, as in
    robust charts; Langenberg and Iglewicz 1986): one large step is the verdict's affair, and would
    be remembered here long after it was taken back. The same documents are read at every
    checkpoint, so that their errors do not average out: z·SEₖ is how far Zₖ falls when every effect
    is z of its standard errors nearer to 0, which is exact for perfectly correlated errors and an
    upper bound for others. An effect that is beyond the margin even then adds nothing to it.

    Where the baseline moved, a signed effect goes on from the level that was reached: the step
    from the previous checkpoint is added to the last effect against the old baseline, and later
    effects are added to that. Effects that have no sign (identity, strength) cannot be
    added up: firing on other tokens and coming back would count twice. Their series starts anew,
    as does one whose step is unknown.

    Args:
        series: oldest first; a point whose effect is not known is passed over, and with it a
            change of baseline is taken for a new start.
        margin: of the estimand, in the units of the effects.
        weight: of the newest point, above 0 and at most 1.
        margin_share: share of the margin that may be used up slowly.
        alpha: probability, at any one checkpoint, of a false alarm at that share.
        estimand: identity and strength have no sign; kept with the result.

    Raises:
        ValueError: a number is out of range.
    """
    if not 0 < weight <= 1:
        raise ValueError(f"weight is {weight}; it must be above 0 and at most 1")
    if not margin > 0 or not margin_share > 0:
        raise ValueError(f"margin {margin} and margin_share {margin_share} must be above 0")
    if not 0 < alpha < 0.5:
        raise ValueError(f"alpha is {alpha}; it must lie between 0 and a half")
    signed = estimand not in ONE_SIDED
    reach = float(stats.norm.isf(alpha))
    level = lowest = highest = 0.0
    # What was reached before the present baseline was pinned, and its standard error.
    offset = offset_se = 0.0
    last: tuple[float, float] | None = None
    points, restarted = 0, None
    for point in series:
        here = _known(point.effect, point.se)
        if not point.same_baseline and points:
            step = _known(point.step_effect, point.step_se)
            if signed and last and here and step:
                offset = last[0] + step[0] - here[0]
                # Where the new baseline is the previous checkpoint, step and effect are one.
                offset_se = last[1] if step == here else last[1] + step[1] + here[1]
            else:
                level = lowest = highest = offset = offset_se = 0.0
                points, restarted = 0, point.checkpoint
        last = (offset + here[0], offset_se + here[1]) if here else None
        if last:
            level, lowest, highest = (
                weight * min(max(last[0] + z * last[1], -margin), margin) + (1 - weight) * average
                for z, average in ((0, level), (-reach, lowest), (reach, highest))
            )
            points += 1
    level_se = (level - lowest if level > 0 else highest - level) / reach
    limit = margin_share * margin + reach * level_se
    holds = last is None or abs(last[0]) + reach * last[1] > margin_share * margin
    alarm = abs(level) > limit and holds
    return Trend(alarm, level, level_se, limit, points, restarted, estimand)


def _known(effect: float | None, se: float | None) -> tuple[float, float] | None:
    """Effect and standard error; None where either is missing, NaN or infinite."""
    if effect is None or se is None or not (isfinite(effect) and isfinite(se)):
        return None
    return effect, se
