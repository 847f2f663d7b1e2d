"""The charts of a report, from its view-model; none where the library that draws is missing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from app.charts import (
    Activation,
    CalibrationRow,
    Chart,
    ChartsNotInstalledError,
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
from app.reports.model import Feature, Report
from app.reports.parts import HistoryLine
from app.reports.words import NULL_UPDATES, VERDICT_SIGNS, number

CHARTED = 60
"""Features of one picture; the tables beneath have all."""
LINES = 4
"""Features whose line over checkpoints is drawn: the most pressing."""
SCATTERED = 6
"""Features whose tokens are drawn before and after: the most pressing that have drifted."""


@dataclass(frozen=True)
class Line:
    """The monitor's last checkpoints, this evaluation's the last.

    Attributes:
        checkpoints: names, the oldest first.
        verdicts: by feature and checkpoint; of several evaluations of one checkpoint the newest.
    """

    checkpoints: tuple[str, ...]
    verdicts: Mapping[tuple[str, str], HistoryLine]


@dataclass(frozen=True)
class Charts:
    """All pictures of a report, each None where there is nothing to draw.

    Attributes:
        effects: leading effects in margins.
        line: effects of the most pressing features over checkpoints.
        heat: verdicts of features over checkpoints.
        heat_rows: a row for each feature of `heat`: its name, then a cell for each checkpoint.
        controls: how often each control came out as it must.
        scatters: tokens before and after, by the feature's place.
        missing: whether pictures are left out for want of the library that draws them.
    """

    effects: Chart | None = None
    line: Chart | None = None
    heat: Chart | None = None
    heat_columns: tuple[str, ...] = ()
    heat_rows: tuple[tuple[str, ...], ...] = ()
    controls: Chart | None = None
    scatters: dict[int, Chart] = field(default_factory=dict)
    missing: bool = False


def draw(report: Report) -> Charts:
    """Every picture that the report has something for."""
    line = _line(report)
    shown = report.features[:CHARTED]
    columns = line.checkpoints if len(line.checkpoints) > 1 else ()
    rows = tuple((f.name, *(_cell(f, name, line) for name in columns)) for f in shown)
    try:
        return Charts(
            effects=_effects(report.features),
            line=_drift(report.features, line) if columns else None,
            heat=_heat(shown, line) if columns else None,
            heat_columns=columns,
            heat_rows=rows if columns else (),
            controls=_controls(report),
            scatters=dict(_scatters(report.features)),
        )
    except ChartsNotInstalledError:
        return Charts(heat_columns=columns, heat_rows=rows if columns else (), missing=True)


def _effects(features: Sequence[Feature]) -> Chart | None:
    points = [
        ForestPoint(
            name=feature.name,
            effect=line.effect,
            lower=line.lower,
            upper=line.upper,
            margin=line.margin or None,
            verdict=feature.verdict,
            estimand=line.estimand.replace("_", " "),
        )
        for feature in features
        if (line := feature.lead) is not None
    ]
    return forest(points[:CHARTED]) if points else None


def _line(report: Report) -> Line:
    subject, newest = report.subject, dict[str, tuple[str, str]]()
    for feature in report.features[:CHARTED]:
        for line in feature.history:
            key = (line.finished_at.isoformat() if line.finished_at else "", str(line.evaluation))
            newest[line.checkpoint] = max(newest.get(line.checkpoint, key), key)
    newest.pop(subject.checkpoint, None)
    verdicts = {
        (feature.name, line.checkpoint): line
        for feature in report.features[:CHARTED]
        for line in feature.history
        if str(line.evaluation) == newest.get(line.checkpoint, ("", ""))[1]
    }
    order = (*sorted(newest, key=lambda name: newest[name]), subject.checkpoint)
    return Line(order, verdicts)


def _drift(features: Sequence[Feature], line: Line) -> Chart | None:
    """Effects of the most pressing features, checkpoint by checkpoint."""
    earlier = {name for name, _ in line.verdicts}
    series = [
        DriftSeries(feature.name, tuple(_points(feature, line)))
        for feature in features
        if feature.name in earlier and feature.lead is not None
    ][:LINES]
    return drift_over_checkpoints(series, checkpoints=line.checkpoints) if series else None


def _points(feature: Feature, line: Line) -> Iterator[CheckpointPoint]:
    baseline = None
    for checkpoint in line.checkpoints[:-1]:
        past = line.verdicts.get((feature.name, checkpoint))
        if past is None:
            continue
        told = past.lower is not None and past.upper is not None
        yield CheckpointPoint(
            checkpoint,
            past.effect,
            past.lower if told else None,
            past.upper if told else None,
            past.margin or None,
            past.verdict,
            restarted=baseline not in (None, past.baseline),
            estimand=(past.estimand or "").replace("_", " "),
        )
        baseline = past.baseline
    now = feature.lead
    if now is not None:
        told = now.lower is not None and now.upper is not None
        yield CheckpointPoint(
            line.checkpoints[-1],
            now.effect,
            now.lower if told else None,
            now.upper if told else None,
            now.margin or None,
            feature.verdict,
            estimand=now.estimand.replace("_", " "),
        )


def _heat(features: Sequence[Feature], line: Line) -> Chart:
    newest = line.checkpoints[-1]
    cells = [HeatCell(f.name, newest, f.verdict, _score(f.behaviour.drift_score)) for f in features]
    cells += [
        HeatCell(name, checkpoint, past.verdict, _score(past.drift_score))
        for (name, checkpoint), past in line.verdicts.items()
    ]
    return heat_map([feature.name for feature in features], list(line.checkpoints), cells)


def _cell(feature: Feature, checkpoint: str, line: Line) -> str:
    verdict, score = str(feature.verdict), feature.behaviour.drift_score
    if checkpoint != line.checkpoints[-1]:
        past = line.verdicts.get((feature.name, checkpoint))
        if past is None:
            return "–"
        verdict, score = past.verdict, past.drift_score
    return f"{VERDICT_SIGNS[verdict]} {verdict} {number(score)}"


def _controls(report: Report) -> Chart | None:
    """How often each control came out as it must, and how often null updates alone moved much."""
    rows = []
    q = report.provenance.policy.get("q")
    for control in report.controls:
        figures = control.figures
        if control.control == "numerics" and q is not None:
            for source, found in sorted((figures.get("sources") or {}).items()):
                # A benign checkpoint may move features: that is what its mark is for.
                if found.get("features") and source in NULL_UPDATES:
                    name = f"moved by {source.removeprefix('numerics_')} alone"
                    moved, features = int(found["moved"]), int(found["features"])
                    rows.append(CalibrationRow(name, q, moved, features, "at most"))
        elif control.control in _MUST and figures.get("judged"):
            judged, failed = int(figures["judged"]), int(figures.get("failed") or 0)
            name = _MUST[control.control]
            rows.append(CalibrationRow(name, 1.0, judged - failed, judged, "at least"))
    if not rows:
        return None
    return calibration(rows, title="What controls must show, and how often they did")


_MUST = {
    "randomised_model": "drift with random weights",
    "random_features": "beat random read-outs",
    "permuted_labels": "do not read shifted labels",
    "shuffled_pairing": "disagree when mispaired",
}


def _scatters(features: Sequence[Feature]) -> Iterator[tuple[int, Chart]]:
    """Tokens of passages before and after, by the feature's place."""
    for i, feature in enumerate(features[:SCATTERED]):
        points = sorted(
            {
                (passage.document, passage.start, k): Activation(unit.baseline, unit.candidate)
                for passage in feature.passages
                for k, unit in enumerate(passage.units)
            }.items()
        )
        if feature.verdict == "drifted" and points:
            title = f"Before and after: {feature.name}"
            yield i, before_after((at for _, at in points), feature=feature.name, title=title)


def _score(value: float | None) -> float | None:
    return None if value is None else min(1.0, max(0.0, value))
