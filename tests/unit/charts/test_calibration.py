"""Calibration: binomial bands against scipy, what counts as broken, and the words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from app.charts import CalibrationRow, calibration
from app.charts.calibration import Promise, binomial_band


@given(st.floats(0.0001, 0.9999), st.integers(1, 20_000))
def test_bands_are_those_of_the_binomial(share: float, trials: int) -> None:
    low, high = binomial_band(share, trials)
    # Where a tail comes within rounding of 2.5%, either neighbour is right.
    for k, tail in ((low, 0.025), (high, 0.975)):
        assert binom.cdf(k, trials, share) >= tail - 1e-9
        assert k == 0 or binom.cdf(k - 1, trials, share) <= tail + 1e-9


@pytest.mark.parametrize(("share", "band"), [(0.0, (0, 0)), (1.0, (50, 50))])
def test_a_sure_thing_has_no_band(share: float, band: tuple[int, int]) -> None:
    assert binomial_band(share, 50) == band


@pytest.mark.parametrize(
    ("promise", "hits", "standing", "kept"),
    [
        ("exactly", 950, "within", True),
        ("exactly", 990, "above", False),
        ("exactly", 900, "below", False),
        ("at most", 990, "above", False),
        ("at most", 900, "below", True),
        ("at least", 990, "above", True),
        ("at least", 900, "below", False),
    ],
)
def test_a_bound_is_broken_on_one_side_only(
    promise: Promise, hits: int, standing: str, kept: bool
) -> None:
    row = CalibrationRow("coverage", 0.95, hits, 1000, promise)
    assert row.standing() == standing
    assert row.kept() is kept


def test_the_words_count_and_name_the_farthest_broken_one() -> None:
    chart = calibration(
        [
            CalibrationRow("good", 0.95, 380, 400),
            CalibrationRow("careful", 0.05, 0, 400, "at most"),
            CalibrationRow("bad", 0.95, 340, 400, "at least"),
        ]
    )
    assert chart.description == (
        "3 promises: 1 within what chance explains, 1 outside with the bound kept, 1 broken. "
        "The broken one that is farthest from its nominal share is “bad”: 85% of 400 trials, "
        "promised at least 95%."
    )
    assert [row[-1] for row in chart.rows] == ["yes", "kept", "no"]
    assert chart.rows[2][:6] == ("bad", "at least", 0.95, 340, 400, 0.85)


@pytest.mark.parametrize(
    ("nominal", "hits", "trials", "message"),
    [
        (1.1, 1, 2, "nominal of 'x' is 1.1"),
        (float("nan"), 1, 2, "nominal of 'x' is NaN"),
        (0.5, 3, 2, "3 hits of 2 trials"),
        (0.5, 0, 0, "0 hits of 0 trials"),
        (0.5, -1, 2, "-1 hits of 2 trials"),
    ],
)
def test_what_is_no_share_is_refused(nominal: float, hits: int, trials: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CalibrationRow("x", nominal, hits, trials)


def test_nothing_to_draw_is_an_error() -> None:
    with pytest.raises(ValueError, match="rows is empty"):
        calibration([])
