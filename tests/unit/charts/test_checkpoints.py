"""Drift over checkpoints: order, gaps, new baselines, and the words."""

import re

import pytest

from app.charts import CheckpointPoint, DriftSeries, drift_over_checkpoints


def point(name: str, effect: float | None, **more: object) -> CheckpointPoint:
    ends = (None, None) if effect is None else (effect - 0.05, effect + 0.05)
    verdict = None if effect is None else "drifted" if effect > 0.25 else "stable"
    return CheckpointPoint(name, effect, *ends, 0.2, verdict, **more)  # type: ignore[arg-type]


def strokes(svg: str, width: str) -> list[str]:
    """Pieces of lines of that width."""
    found = re.findall(rf'<path [^>]*stroke-width="{width}"[^>]*/>', svg)
    return re.findall("M", "".join(found))


STEADY = [point(f"c{i}", 0.02 * i) for i in range(6)]


def test_the_table_holds_each_point_in_units_and_in_margins() -> None:
    chart = drift_over_checkpoints([DriftSeries("phone", [point("c1", 0.1), point("c2", None)])])
    assert chart.rows[0] == (
        "phone",
        "c1",
        None,
        0.1,
        0.05,
        pytest.approx(0.15),
        0.2,
        0.5,
        "stable",
    )
    assert chart.rows[1] == ("phone", "c2", None, None, None, None, 0.2, None, None)


def test_the_words_name_the_largest_the_newest_and_the_first_beyond() -> None:
    points = [point("c1", 0.1), point("c2", 0.5), point("c3", 0.3, restarted=True)]
    text = drift_over_checkpoints([DriftSeries("phone", points)]).description
    assert text == (
        "1 feature over 3 checkpoints, from “c1” to “c3”. “phone”: largest at “c2”, 2.5 margins; "
        "newest 1.5 margins, drifted; beyond the margin at 2 of 3 checkpoints, first at “c2”; "
        "1 new baseline."
    )


def test_a_feature_that_could_never_be_told_is_said_to_be() -> None:
    chart = drift_over_checkpoints([DriftSeries("phone", [point("c1", None)])])
    assert "“phone”: no effect could be told." in chart.description


@pytest.mark.parametrize(
    ("points", "pieces"),
    [
        (STEADY, 1),
        ([*STEADY[:3], point("c3", None), *STEADY[4:]], 2),
        ([*STEADY[:3], point("c3", 0.06, restarted=True), *STEADY[4:]], 2),
        ([STEADY[0], STEADY[1], STEADY[3], STEADY[4]], 2),
    ],
    ids=["whole", "no effect", "new baseline", "not evaluated"],
)
def test_the_line_is_broken_where_nothing_joins_its_ends(
    points: list[CheckpointPoint], pieces: int
) -> None:
    order = [f"c{i}" for i in range(6)]
    svg = drift_over_checkpoints([DriftSeries("phone", points)], checkpoints=order).svg
    assert len(strokes(svg, "1.8")) == pieces


def test_points_are_drawn_in_the_order_of_checkpoints() -> None:
    order = [f"c{i}" for i in range(6)]
    straight = drift_over_checkpoints([DriftSeries("p", STEADY)], checkpoints=order, prefix="a")
    turned = DriftSeries("p", list(reversed(STEADY)))
    again = drift_over_checkpoints([turned], checkpoints=order, prefix="a")
    assert straight.svg.partition("</desc>")[2] == again.svg.partition("</desc>")[2]


def test_of_many_checkpoints_some_are_named_and_the_newest_always() -> None:
    points = [point(f"step-{i}", 0.01) for i in range(120)]
    svg = drift_over_checkpoints([DriftSeries("p", points)]).svg
    named = re.findall(r">(step-\d+)</text>", svg)
    assert named[-1] == "step-119"
    assert 20 <= len(named) <= 42


def test_what_cannot_be_drawn_is_refused_with_the_value() -> None:
    with pytest.raises(ValueError, match="'c1' stands twice in the series 'p'"):
        DriftSeries("p", [point("c1", 0.1), point("c1", 0.2)])
    with pytest.raises(ValueError, match="there are 0 series"):
        drift_over_checkpoints([])
    with pytest.raises(ValueError, match="there are 13 series"):
        drift_over_checkpoints([DriftSeries(str(i), STEADY) for i in range(13)])
    with pytest.raises(ValueError, match="no points"):
        drift_over_checkpoints([DriftSeries("p", [])])
    order = [f"c{i}" for i in range(5)]
    with pytest.raises(ValueError, match="'c5' is in a series but not in checkpoints"):
        drift_over_checkpoints([DriftSeries("p", STEADY)], checkpoints=order)
    with pytest.raises(ValueError, match="verdict of 'c1' is 'odd'"):
        CheckpointPoint("c1", 0.1, 0.0, 0.2, 0.2, "odd")
