"""Before and after: binned or one by one, the table's ranges, the counts in words."""

import random
import re

import pytest

from app.charts import Activation, before_after


def test_a_hundred_thousand_tokens_are_as_small_as_a_few() -> None:
    chance = random.Random(2)
    points = [(chance.expovariate(1), chance.expovariate(1)) for _ in range(100_000)]
    chart = before_after(points, feature="phone", threshold=0.0)
    assert len(chart.svg.encode()) < 60_000
    assert sum(int(str(row[2])) for row in chart.rows) == 100_000
    assert chart.description.startswith("100,000 tokens; mean activation 1")


def test_every_place_is_drawn_once_where_there_are_few() -> None:
    svg = before_after([(i, 2.0 * i) for i in range(1, 51)] * 3).svg
    assert len(re.findall(r"A2\.6,2\.6", svg)) // 2 == 50 + 1  # the key's own circle


def test_equal_tokens_may_come_counted() -> None:
    one_by_one = before_after([(0.0, 0.0)] * 7 + [(1.0, 2.0)] * 3, prefix="p")
    counted = before_after([Activation(0.0, 0.0, 7), Activation(1.0, 2.0, 3)], prefix="p")
    assert one_by_one == counted


def test_the_words_count_the_quadrants_and_name_the_largest_change() -> None:
    points = [(0.0, 0.0)] * 10 + [(2.0, 2.0)] * 4 + [(3.0, 0.0)] * 2 + [(0.0, 1.0)]
    text = before_after(points, feature="phone", threshold=0.0).description
    assert "4 on both sides, 2 on the baseline only, 1 on the candidate only, 10 on neither" in text
    assert "The largest change is from 3 to 0." in text


def test_concordance_is_lins() -> None:
    # Means 2 and 2.5, variances 1 and 1.25, covariance 1: 2·1/(1 + 1.25 + 0.25).
    text = before_after([(1.0, 1.0), (1.0, 2.0), (3.0, 3.0), (3.0, 4.0)]).description
    assert "Concordance 0.8 " in text


def test_nothing_changed_is_said() -> None:
    text = before_after([(1.0, 1.0), (2.0, 2.0)]).description
    assert text.endswith("Concordance 1 (1 where nothing changed). Nothing changed.")


def test_the_table_sums_up_ranges_of_the_baseline() -> None:
    chart = before_after([(0.0, 0.0), (0.0, 1.0), (1.0, 2.0), (11.0, 4.0), (11.0, 6.0)])
    assert chart.rows == (
        (0.0, 0.0, 2, 0.0, 0.5, 1.0),
        (0.0, pytest.approx(1.1), 1, 2.0, 2.0, 2.0),
        (pytest.approx(9.9), 11.0, 2, 4.0, 5.0, 6.0),
    )


def test_one_and_the_same_value_everywhere_can_be_drawn() -> None:
    assert before_after([(0.0, 0.0)] * 5).rows == ((0.0, 0.0, 5, 0.0, 0.0, 0.0),)
    assert before_after([(-3.0, -3.0)] * 5).rows == ((-3.0, -3.0, 5, -3.0, -3.0, -3.0),)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([], "points is empty"),
        ([(1.0, float("nan"))], "both sides are finite"),
        ([(float("inf"), 1.0)], "both sides are finite"),
        ([Activation(1.0, 1.0, 0)], "below 1"),
    ],
)
def test_what_is_no_activation_is_refused(points: list[Activation], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        before_after(points)
