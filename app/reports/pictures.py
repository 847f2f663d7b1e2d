"""The charts of a report, from its view-model; none where the library that draws is missing."""

from collections.abc import Sequence

from app.charts import (
    Chart,
    ChartsNotInstalledError,
    ForestPoint,
    HeatCell,
    forest,
    heat_map,
)
from app.reports.model import Feature, Report

CHARTED = 60
"""Features of one picture; the tables beneath have all."""


def effects(features: Sequence[Feature]) -> Chart | None:
    """The leading effects of the features that people look at first, in margins."""
    points = [
        ForestPoint(
            name=feature.name,
            effect=line.effect,
            lower=line.lower,
            upper=line.upper,
            margin=line.margin or None,
            verdict=feature.verdict,
            estimand=line.estimand,
        )
        for feature in features
        if (line := feature.lead) is not None
    ]
    if not points:
        return None
    try:
        return forest(points[:CHARTED])
    except ChartsNotInstalledError:
        return None


def checkpoints(report: Report) -> Chart | None:
    """Verdicts of the monitor over its last checkpoints, this one the last; None for the first.

    Of several evaluations of one checkpoint the newest counts.
    """
    features = report.features[:CHARTED]
    subject = report.subject
    lines = [line for feature in features for line in feature.history]
    newest: dict[str, tuple[str, str]] = {}
    for line in lines:
        ended = line.finished_at.isoformat() if line.finished_at is not None else ""
        key = (ended, str(line.evaluation))
        newest[line.checkpoint] = max(newest.get(line.checkpoint, key), key)
    newest.pop(subject.checkpoint, None)
    if not newest:
        return None
    order = [*sorted(newest, key=lambda name: newest[name]), subject.checkpoint]
    cells = [
        HeatCell(f.name, subject.checkpoint, f.verdict, _score(f.behaviour.drift_score))
        for f in features
    ]
    for feature in features:
        for line in feature.history:
            if str(line.evaluation) == newest.get(line.checkpoint, ("", ""))[1]:
                score = _score(line.drift_score)
                cells.append(HeatCell(feature.name, line.checkpoint, line.verdict, score))
    try:
        return heat_map([feature.name for feature in features], order, cells)
    except ChartsNotInstalledError:
        return None


def _score(value: float | None) -> float | None:
    return None if value is None else min(1.0, max(0.0, value))
