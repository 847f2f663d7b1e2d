"""Drift over checkpoints: effects against the baseline with an interval band and the margin."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from app.charts.axes import (
    checkpoint_labels,
    is_far,
    label_room,
    margin_ticks,
    spread,
    tick_rows,
)
from app.charts.chart import Chart, Value, check_prefix, digest_prefix
from app.charts.drawing import Drawing, Panel, at, field, on
from app.charts.forest import ForestPoint, axis_limits
from app.charts.palette import paint
from app.charts.svg import finish
from app.charts.verdicts import legend, legend_height, symbols
from app.charts.words import clean, count, number, quoted, shorten

COLUMNS = (
    *("feature", "checkpoint", "estimand", "effect", "lower", "upper", "margin"),
    *("effect in margins", "verdict"),
)
WIDTH, LEFT, RIGHT, HEIGHT, HEAD, GAP = 760, 76, 744, 128, 20, 22
LARGEST = 12
"""Series in one picture; more are no picture that anybody reads."""


@dataclass(frozen=True)
class CheckpointPoint:
    """What one checkpoint's evaluation says of a feature; as in `ForestPoint`, whose rules hold.

    Attributes:
        checkpoint: its name.
        effect, lower, upper, margin, verdict: nothing where there is none.
        restarted: a new baseline was pinned before it, so that the line begins anew here.
        estimand: of the effect, where it changes between checkpoints.
    """

    checkpoint: str
    effect: float | None
    lower: float | None
    upper: float | None
    margin: float | None
    verdict: str | None
    restarted: bool = False
    estimand: str = ""

    def __post_init__(self) -> None:
        self.as_effect()

    def as_effect(self, name: str = "") -> ForestPoint:
        """The point as one effect of the feature of that name, checked."""
        return ForestPoint(
            name or self.checkpoint,
            *(self.effect, self.lower, self.upper, self.margin, self.verdict, self.estimand),
        )


@dataclass(frozen=True)
class DriftSeries:
    """One feature over checkpoints, the oldest first; each checkpoint at most once."""

    name: str
    points: Sequence[CheckpointPoint]

    def __post_init__(self) -> None:
        names = [point.checkpoint for point in self.points]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(
                f"checkpoint {twice[0]!r} stands twice in the series {self.name!r}; "
                "give each checkpoint one point"
            )


def drift_over_checkpoints(
    series: Sequence[DriftSeries],
    *,
    title: str = "Drift from the baseline over checkpoints",
    prefix: str = "",
    checkpoints: Sequence[str] | None = None,
    noun: str = "feature",
) -> Chart:
    """One panel a feature, one below the other, over the same checkpoints and the same axis.

    Effects are in units of their margins, so that the margin lies at −1 and 1 whatever it was at
    the time. The band joins the intervals; each checkpoint also has its own. A line is broken
    where a checkpoint has no effect and where a new baseline was pinned.

    Args:
        series: 1 to 12.
        title: names the picture.
        prefix: begins the ids; made from the content if not given.
        checkpoints: their order, the oldest first; by first appearance if not given.
        noun: what a series stands for: `monitor`, where all are of one feature.

    Raises:
        ValueError: no or too many series, no points at all, a checkpoint that is not among
            `checkpoints`, or an unfit prefix.
        ChartsNotInstalledError: without the extra `charts`.
    """
    if not 1 <= len(series) <= LARGEST:
        raise ValueError(f"there are {len(series)} series; draw 1 to {LARGEST} in one picture")
    order = _order(series, checkpoints)
    title = clean(title)
    points = [point for one in series for point in one.points]
    limits = axis_limits([point.as_effect() for point in points])
    verdicts = [point.verdict for point in points]
    top = legend_height(verdicts, WIDTH) + 8
    bottom = top + len(series) * (HEAD + HEIGHT + GAP) - GAP
    drawing = Drawing(WIDTH, bottom + label_room(order) + 6)
    legend(drawing, verdicts, WIDTH)
    places = dict(zip(order, spread(len(order), RIGHT - LEFT), strict=True))
    scale = " (symmetric log scale)" if is_far(*limits) else ""
    for i, one in enumerate(series):
        y = top + i * (HEAD + HEIGHT + GAP)
        heading = f"{shorten(one.name, 60)} – effect in units of its margin{scale}"
        drawing.text([{"text": heading}], x=LEFT, y=y + HEAD / 2)
        panel = drawing.panel(LEFT, y + HEAD, RIGHT - LEFT, HEIGHT)
        _frame(panel, limits, [places[c] for c in order])
        _series(panel, one, places)
    checkpoint_labels(drawing, order, LEFT, list(places.values()), bottom)
    description = _describe(series, order, noun)
    name = check_prefix(prefix or digest_prefix("drift", drawing.content() + title))
    svg = finish(drawing.render(), prefix=name, title=title, description=description)
    rows = tuple(_table_row(one.name, point) for one in series for point in one.points)
    return Chart(svg, title, description, COLUMNS, rows)


def _order(series: Sequence[DriftSeries], checkpoints: Sequence[str] | None) -> list[str]:
    found = list(dict.fromkeys(p.checkpoint for one in series for p in one.points))
    if not found:
        raise ValueError("the series hold no points; there is nothing to draw")
    if checkpoints is None:
        return found
    order = list(dict.fromkeys(checkpoints))
    if unknown := set(found) - set(order):
        raise ValueError(
            f"checkpoint {min(unknown)!r} is in a series but not in checkpoints; name it there too"
        )
    return order


def _frame(panel: Panel, limits: tuple[float, float], places: list[float]) -> None:
    low, high = limits
    kind: dict[str, Any] = {"kind": "symlog", "constant": 1} if is_far(low, high) else {}
    panel.scale("y", limits, (panel.height, 0), **kind)
    panel.draw(
        "rect", [{}], x=0, width=panel.width, y=at("y", 1), y2=at("y", -1), fill=paint("zone")
    )
    ticks = margin_ticks(low, high, 5)
    wide: dict[str, Any] = {"x": 0, "x2": panel.width}
    panel.draw("rule", [{"v": v} for v in ticks], y=on("y", "v"), stroke=paint("grid"), **wide)
    panel.draw("rule", [{}], y=at("y", 0), stroke=paint("muted"), **wide)
    panel.draw(
        "rule",
        [{"v": -1}, {"v": 1}],
        y=on("y", "v"),
        stroke=paint("muted"),
        strokeDash={"value": [4, 3]},
        **wide,
    )
    panel.draw(
        "rule",
        [{"x": x} for x in places],
        x=field("x"),
        y=panel.height,
        y2=panel.height + 4,
        stroke=paint("muted"),
    )
    panel.text(tick_rows(ticks), x=-8, y=on("y", "v"), align="right")


def _series(panel: Panel, one: DriftSeries, places: dict[str, float]) -> None:
    rows = [
        {
            "x": places[point.checkpoint],
            "verdict": point.verdict,
            "restarted": point.restarted,
            "place": list(places).index(point.checkpoint),
            **{
                what: effect.in_margins(getattr(point, what))
                for what in ("effect", "lower", "upper")
            },
        }
        for point in sorted(one.points, key=lambda point: places[point.checkpoint])
        for effect in [point.as_effect()]
    ]
    again = [{"x": row["x"]} for row in rows if row["restarted"]]
    banded = [list(run) for run in _runs(rows, "lower")]
    for run in banded:
        if len(run) > 1:
            panel.draw(
                "area",
                run,
                x=field("x"),
                y=on("y", "lower"),
                y2=on("y", "upper"),
                fill=paint("band"),
            )
    panel.draw(
        "rule",
        again,
        x=field("x"),
        y=0,
        y2=panel.height,
        stroke=paint("ink"),
        strokeDash={"value": [1, 3]},
    )
    panel.text(
        [{**row, "text": "new baseline"} for row in again], x=field("x"), y=panel.height - 8, dx=4
    )
    whole = [row for run in banded for row in run]
    panel.draw(
        "rule", whole, x=field("x"), y=on("y", "lower"), y2=on("y", "upper"), stroke=paint("line")
    )
    for run in _runs(rows, "effect"):
        if len(run) > 1:
            panel.draw(
                "line",
                run,
                x=field("x"),
                y=on("y", "effect"),
                stroke=paint("line"),
                strokeWidth=1.8,
            )
    symbols(
        panel, [row for row in rows if row["effect"] is not None], field("x"), on("y", "effect")
    )


def _runs(rows: list[dict[str, Any]], what: str) -> Iterable[list[dict[str, Any]]]:
    """Neighbouring checkpoints that have the value and the same baseline."""
    run: list[dict[str, Any]] = []
    for row in rows:
        follows = run and row["place"] == run[-1]["place"] + 1 and not row["restarted"]
        if row[what] is None or not follows:
            if run:
                yield run
            run = []
        if row[what] is not None:
            run.append(row)
    if run:
        yield run


def _table_row(name: str, point: CheckpointPoint) -> tuple[Value, ...]:
    effect = point.as_effect(name)
    return (
        name,
        point.checkpoint,
        point.estimand or None,
        point.effect,
        point.lower,
        point.upper,
        point.margin,
        effect.in_margins(point.effect),
        point.verdict,
    )


def _describe(series: Sequence[DriftSeries], order: Sequence[str], noun: str) -> str:
    span = f"from {quoted(order[0])} to {quoted(order[-1])}" if len(order) > 1 else quoted(order[0])
    head = f"{count(len(series), noun)} over {count(len(order), 'checkpoint')}, {span}."
    return " ".join([head, *(_series_in_words(one) for one in series)])


def _series_in_words(one: DriftSeries) -> str:
    placed = [(e, p) for p in one.points if (e := p.as_effect().in_margins(p.effect)) is not None]
    if not placed:
        return f"{quoted(one.name)}: no effect could be told."
    largest, at_point = max(placed, key=lambda pair: abs(pair[0]))
    newest, last = placed[-1]
    beyond = [p for e, p in placed if abs(e) > 1]
    text = (
        f"{quoted(one.name)}: largest at {quoted(at_point.checkpoint)}, {number(largest)} margins; "
        f"newest {number(newest)} margins, {last.verdict or 'not judged'}; "
    )
    text += f"beyond the margin at {len(beyond)} of {count(len(placed), 'checkpoint')}"
    if beyond:
        text += f", first at {quoted(beyond[0].checkpoint)}"
    if restarts := sum(p.restarted for p in one.points):
        text += f"; {count(restarts, 'new baseline')}"
    return text + "."
