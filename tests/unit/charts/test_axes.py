"""Axes in margins, whatever the effects."""

import math

from hypothesis import given
from hypothesis import strategies as st

from app.charts.axes import is_far, limits_of, margin_ticks, spread

VALUES = st.lists(st.none() | st.floats(-1e12, 1e12), max_size=8)


@given(VALUES)
def test_limits_hold_every_value_and_the_margin_on_both_sides(values: list[float | None]) -> None:
    low, high = limits_of(values)
    assert low <= -1.5
    assert high >= 1.5
    assert all(low <= value <= high for value in values if value is not None)


@given(VALUES, st.sampled_from([5, 12]))
def test_ticks_are_few_in_order_within_and_hold_zero(values: list[float | None], most: int) -> None:
    low, high = limits_of(values)
    ticks = margin_ticks(low, high, most)
    assert ticks == sorted(set(ticks))
    assert 0.0 in ticks
    assert 2 <= len(ticks) <= most
    assert all(low <= tick <= high for tick in ticks)


def test_an_axis_turns_to_a_logarithm_beyond_twelve_margins() -> None:
    assert not is_far(*limits_of([11.5, -11.5]))
    assert is_far(*limits_of([12.5]))
    assert is_far(*limits_of([-12.5]))
    assert margin_ticks(-50.0, 50.0, 12) == [-30, -10, -3, -1, 0, 1, 3, 10, 30]


def test_checkpoints_lie_evenly_and_away_from_the_edges() -> None:
    assert spread(4, 100) == [12.5, 37.5, 62.5, 87.5]
    assert limits_of([math.inf, -math.inf, None]) == (-1.5, 1.5)
