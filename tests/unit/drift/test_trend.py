"""Slow drift: what accumulates is found, what comes and goes is not."""

import json
from dataclasses import replace

import numpy as np
import pandas
import pytest

from workers.drift.trend import Point, slow_drift

MARGIN = 0.2


def walk(effects: list[float] | np.ndarray, se: float = 0.01) -> list[Point]:
    return [Point(float(e), se, f"c{i}") for i, e in enumerate(effects)]


def test_ten_steps_of_a_tenth_are_found_though_none_is_beyond_the_margin() -> None:
    series = walk(np.arange(1, 11) * MARGIN / 10)
    assert max(p.effect for p in series) <= MARGIN
    assert slow_drift(series, MARGIN).alarm
    assert not slow_drift(series[:5], MARGIN).alarm
    assert slow_drift([Point(-p.effect, p.se) for p in series], MARGIN).alarm


def test_one_large_step_that_was_taken_back_is_no_trend() -> None:
    """One bad checkpoint, and the next is as good as the baseline."""
    series = walk([0.001, 5 * MARGIN, 0.001])
    assert not slow_drift(series, MARGIN).alarm
    # Even after many of them: what is back is shown to be back.
    series = walk([5 * MARGIN] * 20)
    assert slow_drift(series, MARGIN).alarm
    assert not slow_drift([*series, Point(0.0, 0.0)], MARGIN).alarm
    assert not slow_drift([*series, Point(0.001, 0.01)], MARGIN).alarm
    # An effect that may still be large ends nothing.
    assert slow_drift([*series, Point(0.09, 0.02)], MARGIN).alarm


def test_benign_noise_over_fifty_checkpoints_rarely_alarms() -> None:
    """Noise as large as the margin's third, fresh at every checkpoint."""
    rng = np.random.default_rng(0)
    false = 0
    for _ in range(100):
        series = walk(rng.normal(0, MARGIN / 3, 50))
        false += any(slow_drift(series[: k + 1], MARGIN).alarm for k in range(50))
    assert false <= 1


def test_errors_that_stay_the_same_over_checkpoints_do_not_alarm() -> None:
    """The same documents err the same way each time; averaging does not help against that."""
    rng = np.random.default_rng(0)
    se, share = 0.1, 0.5
    errors = rng.normal(share * MARGIN, se, 2000)
    alarms = [slow_drift(walk([e] * 40, se), MARGIN, alpha=0.01).alarm for e in errors]
    assert np.mean(alarms) < 0.017


def test_the_level_is_pandas_ewm_started_at_zero() -> None:
    effects = np.random.default_rng(0).normal(size=20)
    expected = pandas.Series([0.0, *effects]).ewm(alpha=0.3, adjust=False).mean().iloc[-1]
    found = slow_drift(walk(effects), 10, weight=0.3)
    assert found.level == pytest.approx(expected)
    assert found.points == 20


def test_scaling_effects_errors_and_margin_changes_nothing() -> None:
    series = walk(np.random.default_rng(0).normal(0.1, 0.05, 30))
    one = slow_drift(series, MARGIN)
    other = slow_drift([Point(7 * p.effect, 7 * p.se) for p in series], 7 * MARGIN)
    assert other.level == pytest.approx(7 * one.level)
    assert other.limit == pytest.approx(7 * one.limit)
    assert one.alarm == other.alarm


@pytest.mark.parametrize("moved", [3, 6])
def test_a_baseline_pinned_anew_does_not_hide_what_has_accumulated(moved: int) -> None:
    """The new baseline is the previous checkpoint, or an older one."""
    tenth = MARGIN / 10
    whole = walk(np.arange(1, 13) * tenth, 0.003)
    for behind in (1, 2):
        series = [
            Point(
                p.effect if i < moved else p.effect - (moved - behind + 1) * tenth,
                p.se,
                same_baseline=i != moved,
                step_effect=tenth,
                step_se=p.se,
            )
            for i, p in enumerate(whole)
        ]
        found = slow_drift(series, MARGIN, estimand="rate")
        assert found.level == pytest.approx(slow_drift(whole, MARGIN).level)
        assert found.alarm
        assert found.restarted is None
    assert found.se >= slow_drift(whole, MARGIN).se


def test_effects_without_a_sign_and_unknown_steps_start_anew() -> None:
    moved = [*walk([0.1] * 10), Point(0.01, 0.01, "new", same_baseline=False), *walk([0.01])]
    found = slow_drift(moved, MARGIN, estimand="rate")
    assert (found.points, found.restarted) == (2, "new")
    moved[10] = Point(0.01, 0.01, "new", False, 0.1, 0.01)
    assert slow_drift(moved, MARGIN, estimand="identity_sparse").points == 2
    assert slow_drift(moved, MARGIN, estimand="strength").points == 2
    assert slow_drift(moved, MARGIN, estimand="rate").points == 12


def test_a_drift_of_many_margins_over_new_baselines_is_not_lost_in_its_error() -> None:
    """The error grows with every baseline that is pinned anew; the effect, capped, does not."""
    first, *others = walk([0.12] * 30)
    pinned = [replace(p, same_baseline=False, step_effect=p.effect, step_se=p.se) for p in others]
    assert slow_drift([first, *pinned], MARGIN, estimand="rate").alarm
    back = [replace(p, effect=0.0, step_effect=0.0) for p in pinned]
    assert not slow_drift([first, *back], MARGIN, estimand="rate").alarm


def test_unknown_points_are_passed_over_and_no_point_is_no_alarm() -> None:
    nan = float("nan")
    series = walk([0.1, nan, 0.1])
    assert slow_drift(series, MARGIN) == slow_drift([series[0], series[2]], MARGIN)
    nothing = slow_drift([Point(nan, nan), Point(0.1, float("inf"))], MARGIN)
    assert (nothing.alarm, nothing.level, nothing.points) == (False, 0, 0)
    assert slow_drift([], MARGIN).points == 0
    assert json.loads(json.dumps(nothing.to_json()))["limit"] == MARGIN / 2


@pytest.mark.parametrize(
    "wrong", [{"weight": 0}, {"weight": 1.1}, {"margin_share": 0}, {"alpha": 0.5}, {"alpha": 0}]
)
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        slow_drift([], MARGIN, **wrong)  # type: ignore[arg-type]


def test_a_margin_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="margin 0"):
        slow_drift([], 0)
