"""What a monitor's line and a dictionary's health draw, in the order in which people look."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from app.charts import ChartsNotInstalledError
from app.evaluations.tables import Evaluation
from app.verdicts.tables import DictionaryHealth
from app.web import charts
from app.web.charts import draw_health, draw_line, draw_series
from app.web.reading.dictionaries import HealthLine, Where
from app.web.repository import Stop


@dataclass
class Point:
    evaluation_id: UUID
    feature: str
    verdict: str = "stable"
    effect: float | None = 0.1
    lower: float | None = 0.05
    upper: float | None = 0.15
    margin: float | None = 0.2
    drift_score: float | None = 0.1
    estimand: str | None = "identity"
    feature_id: UUID | None = None
    monitor: str = "watch"
    checkpoint: str = "c0"


def stop(number: int, baseline: int = 99) -> Stop:
    return Stop(UUID(int=number), f"c{number}", UUID(int=baseline), f"c{baseline}")


STOPS = [stop(1), stop(2), stop(3, baseline=98)]


def points(feature: str, **changes: Any) -> list[Point]:
    return [Point(one.evaluation_id, feature, **changes) for one in STOPS]


def test_a_line_that_nothing_was_judged_on_draws_nothing() -> None:
    for found in (draw_line([], [], [], []), draw_line(STOPS, [], [], [])):
        assert (found.features, found.drift.chart, found.heat.chart) == (0, None, None)
        assert found.drift.missing == ""
    assert draw_series([]).chart is None


def test_the_most_urgent_features_come_first_the_watched_ones_before_their_like() -> None:
    rows = [
        *points("calm"),
        *points("small", verdict="drifted", effect=0.3),
        *points("large", verdict="drifted", effect=0.9),
        *points("watched", verdict="drifted", effect=0.25),
        *points("odd", verdict="untrusted", effect=None, lower=None, upper=None),
        Point(STOPS[0].evaluation_id, "gone", verdict="drifted"),
    ]

    found = draw_line(STOPS, rows, ["watched"], [])

    assert [point.feature for point in found.now] == ["watched", "large", "small", "odd", "calm"]
    assert list(found.drawn) == ["watched", "large", "small", "odd", "calm", "gone"]
    assert found.features == 6
    assert found.heat.chart is not None
    assert {row[1] for row in found.heat.chart.rows} == {"c1", "c2", "c3"}


def test_the_features_that_are_asked_for_are_drawn() -> None:
    rows = [*points("a"), *points("b")]

    assert draw_line(STOPS, rows, [], ["b"]).drawn == ["b"]
    assert draw_line(STOPS, rows, [], ["no such feature"]).drawn == ["a", "b"]


@pytest.mark.parametrize(
    "odd",
    [
        {"effect": None, "lower": None, "upper": None, "margin": None, "estimand": None},
        {"lower": None},
        {"margin": 0.0},
        {"drift_score": 1.0000001},
        {"drift_score": -0.01},
        {"effect": 1e300, "upper": 1e308},
    ],
    ids=str,
)
def test_odd_numbers_break_no_page(odd: dict[str, Any]) -> None:
    found = draw_line(STOPS, points("a", verdict="drifted", **odd), [], [])

    assert found.heat.chart is not None
    assert found.drift.chart is not None


def test_of_a_checkpoint_that_was_judged_again_the_newest_verdict_is_drawn() -> None:
    newest_first = [
        Point(UUID(int=3), "a", verdict="drifted", checkpoint="c1"),
        Point(UUID(int=2), "a", checkpoint="c1"),
        Point(UUID(int=1), "a", checkpoint="c0"),
    ]

    chart = draw_series(newest_first).chart

    assert chart is not None
    assert [(row[1], row[-1]) for row in chart.rows] == [("c0", "stable"), ("c1", "drifted")]


def test_without_the_library_the_page_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_args: object, **_kwargs: object) -> None:
        raise ChartsNotInstalledError()

    monkeypatch.setattr(charts, "heat_map", missing)
    monkeypatch.setattr(charts, "drift_over_checkpoints", missing)
    charts._heat.cache_clear()
    charts._drift.cache_clear()

    found = draw_line(STOPS, points("a"), [], [])

    assert found.drift.chart is found.heat.chart is None
    assert "featuredrift[charts]" in found.drift.missing
    assert len(found.now) == 1


def health(
    checkpoint: str, fvu: float, baseline: float | None = None, limit: float | None = 0.3
) -> HealthLine:
    def figures(value: float) -> DictionaryHealth:
        return DictionaryHealth(fvu=value, l0=8.0, dead_ratio=0.0)

    where = Where(Evaluation(), checkpoint, "watch", "bot")
    beside = figures(baseline) if baseline is not None else None
    return HealthLine(where, figures(fvu), beside, limit)


def test_health_is_drawn_from_old_to_new_and_of_a_checkpoint_the_newest() -> None:
    lines = [
        health("c2", 0.5, 0.1, limit=1e-6),
        health("c2", 0.4, 0.1),
        health("c1", 0.2, limit=None),
    ]
    chart = draw_health(lines).chart
    assert chart is not None
    assert [row[:4] for row in chart.rows] == [
        ("c1", 0.2, None, None),
        ("c2", 0.5, 0.1, 0.3),
    ]
    assert draw_health([]).chart is None
