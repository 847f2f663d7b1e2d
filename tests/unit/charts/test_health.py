"""A dictionary's health: what is drawn of it, the words, the table."""

import re

import pytest

from app.charts import HealthPoint, health_over_checkpoints

POINTS = [
    HealthPoint("c1", 0.12, 0.11, 0.3, 8.0, 8.0, 0.01, 0.01),
    HealthPoint("c2", 0.55, 0.11, 0.3, 3.0, 8.0, None, 0.01),
]


def test_each_figure_has_its_sign_and_the_limit_its_line() -> None:
    svg = health_over_checkpoints(POINTS).svg
    # One of each in the legend; a figure that is unknown has none.
    assert len(re.findall(r'd="M[^"]*A[^"]*"', svg)) == 6
    assert len(re.findall(r'd="M[^"]*L[^"]*Z"', svg)) == 7
    assert svg.count("stroke-dasharray") == 2


def test_the_words_tell_the_newest_and_what_is_above_the_limit() -> None:
    chart = health_over_checkpoints(POINTS)
    assert chart.description == (
        "2 checkpoints, from “c1” to “c2”. At the newest FVU is 0.55, on the baseline 0.11; "
        "L0 3, on the baseline 8; dead –, on the baseline 0.01. "
        "FVU is above what is allowed at 1 of them, first at “c2”."
    )
    assert chart.rows[1] == ("c2", 0.55, 0.11, 0.3, 3.0, 8.0, None, 0.01)
    assert len(chart.columns) == 8


def test_nothing_measured_and_one_checkpoint_are_drawn_and_what_is_no_number_is_refused() -> None:
    empty = HealthPoint("c", None, None, None, None, None, None, None)
    assert "1 checkpoint, “c”." in health_over_checkpoints([empty]).description
    with pytest.raises(ValueError, match="no points"):
        health_over_checkpoints([])
    with pytest.raises(ValueError, match="fvu of 'c' is NaN"):
        HealthPoint("c", float("nan"), None, None, None, None, None, None)
