"""One chart of each kind, drawn with whatever names a test wants to see survive."""

from collections.abc import Callable, Mapping

import pytest

from app.charts import (
    CalibrationRow,
    Chart,
    CheckpointPoint,
    DriftSeries,
    ForestPoint,
    HeatCell,
    before_after,
    calibration,
    drift_over_checkpoints,
    forest,
    heat_map,
)

Draw = Callable[[str, str, str], Chart]
"""From a user's name, a title (or "") and a prefix (or "")."""

VERDICTS = ("drifted", "stable", "inconclusive", "insufficient", "untrusted", "invalid", None)


def _forest(name: str, title: str, prefix: str) -> Chart:
    points = [
        ForestPoint(f"{name}{i}", 0.1 * i, 0.1 * i - 0.05, 0.1 * i + 0.05, 0.2, verdict, name)
        for i, verdict in enumerate(VERDICTS)
    ]
    return forest(points, title=title or "Effects", prefix=prefix)


def _drift(name: str, title: str, prefix: str) -> Chart:
    points = [
        CheckpointPoint(f"{name}{i}", 0.1 * i, 0.1 * i - 0.1, 0.1 * i + 0.1, 0.2, verdict, i == 4)
        for i, verdict in enumerate(VERDICTS)
    ]
    series = [DriftSeries(name, points), DriftSeries("other", points[:3])]
    return drift_over_checkpoints(series, title=title or "Drift", prefix=prefix)


def _heat(name: str, title: str, prefix: str) -> Chart:
    features, checkpoints = [f"{name}{i}" for i in range(3)], [f"{i}{name}" for i in range(7)]
    cells = [
        HeatCell(feature, checkpoint, verdict, 0.15 * i)
        for feature in features
        for i, (checkpoint, verdict) in enumerate(zip(checkpoints, VERDICTS, strict=True))
    ]
    return heat_map(features, checkpoints, cells, title=title or "Heat", prefix=prefix)


def _before_after(name: str, title: str, prefix: str) -> Chart:
    points = [(0.1 * i, 0.1 * (i * i % 100)) for i in range(100)]
    return before_after(points, feature=name, threshold=0.5, title=title, prefix=prefix)


def _calibration(name: str, title: str, prefix: str) -> Chart:
    rows = [
        CalibrationRow(f"{name}1", 0.95, 380, 400),
        CalibrationRow(f"{name}2", 0.05, 90, 400, "at most"),
        CalibrationRow(f"{name}3", 0.05, 1, 400, "at most"),
        CalibrationRow(f"{name}4", 0.95, 300, 400, "at least"),
    ]
    return calibration(rows, title=title or "Calibration", prefix=prefix)


DRAWERS: Mapping[str, Draw] = {
    "forest": _forest,
    "drift": _drift,
    "heat": _heat,
    "before_after": _before_after,
    "calibration": _calibration,
}


@pytest.fixture(params=sorted(DRAWERS))
def draw(request: pytest.FixtureRequest) -> Draw:
    """Each kind of chart in turn."""
    return DRAWERS[request.param]
