"""Heat maps: letters, bars, what is left out, and the words."""

import random
import re

import pytest

from app.charts import HeatCell, heat_map

CELLS = [
    HeatCell("phone", "c1", "stable", 0.0),
    HeatCell("phone", "c2", "drifted", 0.8),
    HeatCell("email", "c2", "insufficient", None),
]


def bars(svg: str) -> int:
    """Lines of the bars' width, the four of the legend included."""
    found = re.findall(r'<path [^>]*stroke-width="3"[^>]*/>', svg)
    return "".join(found).count("M")


def test_letters_stand_for_verdicts_and_bars_for_scores() -> None:
    svg = heat_map(["phone", "email"], ["c1", "c2"], CELLS).svg
    letters = "".join(re.findall(r">([A-Z–]+)</text>", svg))
    assert sorted(letters) == ["D", "N", "S"]
    assert re.search(r'font-weight="bold"[^>]*>D<', svg)
    with_one_more = [CELLS[0], CELLS[1], HeatCell("email", "c1", "stable", 0.5), CELLS[2]]
    assert bars(heat_map(["phone", "email"], ["c1", "c2"], with_one_more).svg) == bars(svg) + 1


def test_the_words_count_and_name_the_highest() -> None:
    chart = heat_map(["phone", "email"], ["c1", "c2"], CELLS)
    assert chart.description == (
        "2 features at 2 checkpoints. Of 3 verdicts: 1 drifted, 1 stable and 1 insufficient. "
        "At the newest, “c2”: 1 drifted and 1 insufficient. "
        "The highest drift score is 0.8, of “phone” at “c2”."
    )
    assert chart.rows == (
        ("phone", "c1", "stable", 0.0),
        ("phone", "c2", "drifted", 0.8),
        ("email", "c2", "insufficient", None),
    )


def test_nothing_judged_is_said() -> None:
    chart = heat_map(["phone"], ["c1"], [])
    assert chart.description == "1 feature at 1 checkpoint. Nothing was judged."
    assert chart.rows == ()


def test_a_picture_of_many_cells_stays_small_and_says_what_it_leaves_out() -> None:
    chance = random.Random(1)
    features, checkpoints = [f"feature {i}" for i in range(230)], [f"c{i}" for i in range(50)]
    cells = [
        HeatCell(feature, checkpoint, chance.choice(["drifted", "stable"]), chance.random())
        for feature in features
        for checkpoint in checkpoints
    ]
    chart = heat_map(features, checkpoints, cells)
    assert len(chart.svg.encode()) < 150_000
    assert "leaves out the last 30 features." in chart.description
    assert "leaves out the oldest 32 checkpoints." in chart.description
    assert len(chart.rows) == len(cells)


@pytest.mark.parametrize(
    ("features", "checkpoints", "cells", "message"),
    [
        ([], ["c1"], [], "features is empty"),
        (["phone"], [], [], "checkpoints is empty"),
        (["a", "a"], ["c1"], [], "features holds 'a' twice"),
        (["phone"], ["c1", "c2"], CELLS, r"\('email', 'c2'\), which is not in features"),
        (["phone"], ["c1"], [CELLS[0], CELLS[0]], r"cell of \('phone', 'c1'\) is given twice"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    features: list[str], checkpoints: list[str], cells: list[HeatCell], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        heat_map(features, checkpoints, cells)


@pytest.mark.parametrize("score", [-0.1, 1.1, float("inf"), float("nan")])
def test_a_score_outside_of_its_range_is_refused(score: float) -> None:
    with pytest.raises(ValueError, match="drift_score of 'phone'"):
        HeatCell("phone", "c1", "stable", score)
