"""Charts of the pages, from rows to pictures; a reason where there is none."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from app.charts import (
    Chart,
    ChartsNotInstalledError,
    CheckpointPoint,
    DriftSeries,
    HealthPoint,
    HeatCell,
    drift_over_checkpoints,
    health_over_checkpoints,
    heat_map,
)
from app.web.reading.dictionaries import HealthLine
from app.web.repository import Stop

NOT_INSTALLED = (
    "There is no picture, because the library that draws is not installed where the service runs: "
    "pip install 'featuredrift[charts]'. The tables hold the same numbers."
)
_URGENCY = ("drifted", "untrusted", "invalid", "inconclusive", "insufficient", "stable")
SERIES, ROWS = 6, 60


@dataclass(frozen=True)
class Picture:
    """A chart, or why there is none."""

    chart: Chart | None
    missing: str = ""


@dataclass(frozen=True)
class Line:
    """A monitor's line as its page shows it.

    Attributes:
        now: the features' points at the newest checkpoint, the most urgent first.
        drift: some features' effects over the checkpoints.
        heat: features × checkpoints.
        drawn: names of the features in `drift`.
        features: how many have a verdict at any of the checkpoints.
    """

    now: Sequence[Any]
    drift: Picture
    heat: Picture
    drawn: Sequence[str]
    features: int


def draw_line(
    stops: Sequence[Stop], points: Sequence[Any], watchlist: Sequence[str], asked: Sequence[str]
) -> Line:
    """The charts of a monitor's line.

    Args:
        stops: its checkpoints, oldest first.
        points: the verdicts against the baseline at all of them.
        watchlist: features that come first where they are equally urgent.
        asked: features to draw the drift of; the most urgent if none of them is there.
    """
    if not stops or not points:
        return Line((), Picture(None), Picture(None), (), 0)
    by_feature: dict[str, dict[Any, Any]] = {}
    for point in points:
        by_feature.setdefault(point.feature, {})[point.evaluation_id] = point
    newest = stops[-1].evaluation_id
    watched = set(watchlist)

    def urgency(name: str) -> tuple[int, bool, float, str]:
        # A feature without a verdict at the newest checkpoint comes last.
        point = by_feature[name].get(newest)
        if point is None:
            return len(_URGENCY), name not in watched, 0.0, name
        return _URGENCY.index(point.verdict), name not in watched, -in_margins(point), name

    order = sorted(by_feature, key=urgency)
    drawn = [name for name in asked if name in by_feature][:12] or order[:SERIES]
    series = tuple(DriftSeries(name, tuple(_points(stops, by_feature[name]))) for name in drawn)
    rows = order[:ROWS]
    cells = tuple(
        HeatCell(name, stop.checkpoint, point.verdict, score(point.drift_score))
        for name in rows
        for stop in stops
        if (point := by_feature[name].get(stop.evaluation_id)) is not None
    )
    checkpoints = tuple(stop.checkpoint for stop in stops)
    return Line(
        now=[point for name in order if (point := by_feature[name].get(newest)) is not None],
        drift=_drift(series, checkpoints),
        heat=_heat(tuple(rows), checkpoints, cells),
        drawn=drawn,
        features=len(order),
    )


def draw_series(points: Sequence[Any]) -> Picture:
    """A feature's effects over checkpoints, one panel for each monitor that judges it.

    Args:
        points: of its series against the baseline, newest first.
    """
    lines: dict[str, dict[str, CheckpointPoint]] = {}
    for point in points:
        line = lines.setdefault(point.monitor, {})
        # Of a checkpoint that was judged again the newest verdict counts.
        line.setdefault(point.checkpoint, _point(point.checkpoint, point))
    series = tuple(
        DriftSeries(monitor, tuple(reversed(line.values())))
        for monitor, line in sorted(lines.items())[:12]
    )
    if not series:
        return Picture(None)
    checkpoints = tuple(dict.fromkeys(point.checkpoint for point in reversed(points)))
    return _drift(series, checkpoints, "monitor")


def draw_health(lines: Sequence[HealthLine]) -> Picture:
    """A dictionary's health over checkpoints.

    Where several monitors have measured a checkpoint, the limit drawn is the most that any allows.

    Args:
        lines: newest first; of a checkpoint that was measured again the newest counts.
    """
    points: dict[tuple[str, str], HealthPoint] = {}
    limits: dict[tuple[str, str], float] = {}
    for line in lines:
        if line.fvu_max is not None:
            place = line.where.model, line.where.checkpoint
            limits[place] = max(limits.get(place, 0.0), line.fvu_max)
    for line in lines:
        now, base = line.candidate, line.baseline
        points.setdefault(
            (line.where.model, line.where.checkpoint),
            HealthPoint(
                line.where.checkpoint,
                fvu=now.fvu,
                fvu_baseline=base.fvu if base is not None else None,
                fvu_max=limits.get((line.where.model, line.where.checkpoint)),
                l0=now.l0,
                l0_baseline=base.l0 if base is not None else None,
                dead=now.dead_ratio,
                dead_baseline=base.dead_ratio if base is not None else None,
            ),
        )
    return _health(tuple(reversed(points.values()))) if points else Picture(None)


def in_margins(point: Any) -> float:
    """The size of an effect in units of its margin; 0 where there is none."""
    return abs(point.effect) / point.margin if point.effect is not None and point.margin else 0.0


def score(value: float | None) -> float | None:
    """A drift score within the scale that charts draw."""
    return None if value is None else min(1.0, max(0.0, value))


def _points(stops: Sequence[Stop], found: dict[Any, Any]) -> list[CheckpointPoint]:
    made = []
    before: Stop | None = None
    for stop in stops:
        restarted = (
            before is not None and before.baseline_checkpoint_id != stop.baseline_checkpoint_id
        )
        made.append(_point(stop.checkpoint, found.get(stop.evaluation_id), restarted=restarted))
        before = stop
    return made


def _point(checkpoint: str, row: Any, *, restarted: bool = False) -> CheckpointPoint:
    if row is None:
        return CheckpointPoint(checkpoint, None, None, None, None, None, restarted)
    whole = row.lower is not None and row.upper is not None
    return CheckpointPoint(
        checkpoint,
        row.effect,
        row.lower if whole else None,
        row.upper if whole else None,
        row.margin or None,
        row.verdict,
        restarted,
        row.estimand or "",
    )


@lru_cache(maxsize=64)
def _drift(
    series: tuple[DriftSeries, ...], checkpoints: tuple[str, ...], noun: str = "feature"
) -> Picture:
    try:
        return Picture(drift_over_checkpoints(series, checkpoints=checkpoints, noun=noun))
    except ChartsNotInstalledError:
        return Picture(None, NOT_INSTALLED)


@lru_cache(maxsize=64)
def _health(points: tuple[HealthPoint, ...]) -> Picture:
    try:
        return Picture(health_over_checkpoints(points))
    except ChartsNotInstalledError:
        return Picture(None, NOT_INSTALLED)


@lru_cache(maxsize=64)
def _heat(
    features: tuple[str, ...], checkpoints: tuple[str, ...], cells: tuple[HeatCell, ...]
) -> Picture:
    try:
        return Picture(heat_map(features, checkpoints, cells))
    except ChartsNotInstalledError:
        return Picture(None, NOT_INSTALLED)
