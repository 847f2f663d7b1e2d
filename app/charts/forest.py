"""Forest plot: effects of many features with intervals, on one axis in units of their margins."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.charts.axes import is_far, limits_of, margin_ticks, tick_rows
from app.charts.chart import Chart, Value, check_number, check_prefix, digest_prefix
from app.charts.drawing import Drawing, Row, at, field, on
from app.charts.palette import paint
from app.charts.svg import finish
from app.charts.verdicts import check_verdict, counted, legend, legend_height, symbols
from app.charts.words import clean, count, decimal, interval, number, quoted, shorten

COLUMNS = (
    "feature",
    "estimand",
    "effect",
    "lower",
    "upper",
    "margin",
    "effect in margins",
    "verdict",
)

WIDTH, ROW, BOTTOM = 760, 18, 44
LEFT, RIGHT = 206, 500
FIGURES, LABELS = 512, 684


@dataclass(frozen=True)
class ForestPoint:
    """One feature's leading effect.

    Attributes:
        name: of the feature.
        effect: the estimate, in the estimand's own units; nothing where it could not be told.
        lower, upper: its interval; both or neither.
        margin: beyond which a change counts, in the same units, above 0.
        verdict: one of the six, or nothing.
        estimand: what the effect is of, where the points differ in it.

    Raises:
        ValueError: a number is NaN, the margin is not above 0, an interval is half given or the
            wrong way round, or the verdict is unknown.
    """

    name: str
    effect: float | None
    lower: float | None
    upper: float | None
    margin: float | None
    verdict: str | None
    estimand: str = ""

    def __post_init__(self) -> None:
        for what in ("effect", "lower", "upper", "margin"):
            check_number(getattr(self, what), what, self.name)
        if self.margin is not None and not 0 < self.margin < math.inf:
            raise ValueError(
                f"margin of {self.name!r} is {self.margin}; it is a number above 0, or None"
            )
        if (self.lower is None) != (self.upper is None):
            raise ValueError(
                f"interval of {self.name!r} is ({self.lower}, {self.upper}); give both ends or none"
            )
        if self.lower is not None and self.upper is not None and self.lower > self.upper:
            raise ValueError(
                f"interval of {self.name!r} is ({self.lower}, {self.upper}); the lower end is first"
            )
        check_verdict(self.verdict, self.name)

    def in_margins(self, value: float | None) -> float | None:
        """A value of the point in units of its margin."""
        return None if value is None or self.margin is None else value / self.margin


def forest(
    points: Sequence[ForestPoint],
    *,
    title: str = "Effects and intervals in units of the margin",
    prefix: str = "",
    limits: tuple[float, float] | None = None,
) -> Chart:
    """Effects with intervals, one row a feature in the order given.

    The shaded zone from −1 to 1 is what lies within the margin. Numbers beside the rows are in the
    estimand's own units. What has no effect or no margin keeps its row, without a mark.

    Args:
        points: at least one.
        title: names the picture.
        prefix: begins the ids; made from the content if not given.
        limits: of the axis, in margins, where several charts are to share one; from the data if
            not given. What lies beyond is drawn as an arrow at the edge.

    Raises:
        ValueError: no points, or an unfit prefix or limits.
        ChartsNotInstalledError: without the extra `charts`.
    """
    if not points:
        raise ValueError("points is empty; a forest plot needs at least one feature")
    title = clean(title)
    low, high = limits or axis_limits(points)
    if not low < 0 < high:
        raise ValueError(f"limits are ({low}, {high}); they lie on both sides of 0")
    verdicts = [point.verdict for point in points]
    top = legend_height(verdicts, WIDTH) + 28
    rows = [_row(point, top + ROW * i, low, high) for i, point in enumerate(points)]
    bottom = top + ROW * len(points)
    drawing = Drawing(WIDTH, bottom + BOTTOM)
    legend(drawing, verdicts, WIDTH)
    names = [{"y": row["y"], "text": row["name"]} for row in rows]
    drawing.column(names, 12, LEFT - 6, top, bottom)
    _frame(drawing, low, high, top, bottom)
    _effects(drawing, rows, low, high)
    _columns(drawing, rows)
    description = _describe(points)
    name = check_prefix(prefix or digest_prefix("forest", drawing.content() + title))
    svg = finish(drawing.render(), prefix=name, title=title, description=description)
    return Chart(svg, title, description, COLUMNS, tuple(map(_table_row, points)))


def forest_pages(
    points: Sequence[ForestPoint],
    *,
    rows: int = 45,
    title: str = "Effects and intervals in units of the margin",
    prefix: str = "",
) -> tuple[Chart, ...]:
    """The same in several charts of at most so many rows, on one axis: a page of paper holds one.

    Args:
        points: at least one.
        rows: of a chart, at least 1; 45 fit a sheet of A4 with its heading.
        title: of each, with its number where there are several.
        prefix: begins the ids, followed by the number; made from the content if not given.

    Raises:
        ValueError: as `forest`, or rows below 1.
        ChartsNotInstalledError: without the extra `charts`.
    """
    if rows < 1:
        raise ValueError(f"rows is {rows}; a chart holds at least one")
    limits = axis_limits(points)
    parts = [points[i : i + rows] for i in range(0, len(points), rows)] or [points]
    return tuple(
        forest(
            part,
            title=title if len(parts) == 1 else f"{title} ({i} of {len(parts)})",
            prefix=f"{prefix}-{i}" if prefix else "",
            limits=limits,
        )
        for i, part in enumerate(parts, start=1)
    )


def axis_limits(points: Sequence[ForestPoint]) -> tuple[float, float]:
    """Limits in margins that hold every effect and interval, rounded outwards, ±1.5 at least."""
    return limits_of(
        [
            point.in_margins(value)
            for point in points
            for value in (point.effect, point.lower, point.upper)
        ]
    )


def _row(point: ForestPoint, top: float, low: float, high: float) -> dict[str, Any]:
    effect = point.in_margins(point.effect)
    lower, upper = point.in_margins(point.lower), point.in_margins(point.upper)
    ends = [value for value in (effect, lower, upper) if value is not None]
    figures = f"{decimal(point.effect)} {interval(point.lower, point.upper)}".rstrip()
    return {
        "y": top + ROW / 2,
        "name": shorten(point.name, 26),
        "figures": figures,
        "label": point.verdict or "not judged",
        "verdict": point.verdict,
        "effect": None if effect is None else min(max(effect, low), high),
        "lower": None if lower is None else min(max(lower, low), high),
        "upper": None if upper is None else min(max(upper, low), high),
        "beyond_low": min(ends, default=0.0) < low,
        "beyond_high": max(ends, default=0.0) > high,
    }


def _frame(drawing: Drawing, low: float, high: float, top: float, bottom: float) -> None:
    far = is_far(low, high)
    kind: dict[str, Any] = {"kind": "symlog", "constant": 1} if far else {}
    drawing.scale("x", (low, high), (LEFT, RIGHT), **kind)
    drawing.draw("rect", [{}], x=at("x", -1), x2=at("x", 1), y=top, y2=bottom, fill=paint("zone"))
    ticks = margin_ticks(low, high, 9 if far else 12)
    lines = [{"v": v} for v in ticks]
    drawing.draw("rule", lines, x=on("x", "v"), y=top, y2=bottom, stroke=paint("grid"))
    drawing.draw("rule", [{}], x=at("x", 0), y=top, y2=bottom, stroke=paint("muted"))
    drawing.draw(
        "rule",
        [{"v": -1}, {"v": 1}],
        x=on("x", "v"),
        y=top,
        y2=bottom,
        stroke=paint("muted"),
        strokeDash={"value": [4, 3]},
    )
    drawing.draw("rule", [{}], x=LEFT, x2=RIGHT, y=bottom, stroke=paint("muted"))
    drawing.text(
        tick_rows(ticks),
        x=on("x", "v"),
        y=bottom + 12,
        align="center",
    )
    unit = "effect in units of its margin" + (" (symmetric log scale)" if far else "")
    drawing.text([{"text": unit}], x=(LEFT + RIGHT) / 2, y=bottom + 30, align="center")
    heads: list[Row] = [
        {"x": FIGURES, "text": "effect [interval]"},
        {"x": LABELS, "text": "verdict"},
        {"x": 12, "text": "feature"},
    ]
    drawing.text(heads, x=field("x"), y=top - 12, fill=paint("muted"))
    drawing.text(
        [{"text": "within the margin"}],
        x=at("x", 0),
        y=top - 12,
        align="center",
        fill=paint("muted"),
    )


def _effects(drawing: Drawing, rows: list[dict[str, Any]], low: float, high: float) -> None:
    drawing.draw(
        "rule",
        [row for row in rows if row["lower"] is not None],
        x=on("x", "lower"),
        x2=on("x", "upper"),
        y=field("y"),
        stroke=paint("ink"),
        strokeWidth=1.5,
    )
    symbols(
        drawing, [row for row in rows if row["effect"] is not None], on("x", "effect"), field("y")
    )
    for key, limit, shape in (
        ("beyond_low", low, "triangle-left"),
        ("beyond_high", high, "triangle-right"),
    ):
        drawing.draw(
            "symbol",
            [row for row in rows if row[key]],
            x={"scale": "x", "value": limit, "offset": 7 if limit > 0 else -7},
            y=field("y"),
            shape=shape,
            size=40,
            fill=paint("ink"),
        )


def _columns(drawing: Drawing, rows: list[dict[str, Any]]) -> None:
    figures = [{"y": row["y"], "text": row["figures"]} for row in rows]
    drawing.text(figures, x=FIGURES, y=field("y"))
    labels = [{"y": row["y"], "text": row["label"]} for row in rows]
    drawing.text(labels, x=LABELS, y=field("y"))


def _table_row(point: ForestPoint) -> tuple[Value, ...]:
    return (
        point.name,
        point.estimand or None,
        point.effect,
        point.lower,
        point.upper,
        point.margin,
        point.in_margins(point.effect),
        point.verdict,
    )


def _describe(points: Sequence[ForestPoint]) -> str:
    parts = [f"{count(len(points), 'feature')}: {counted(p.verdict for p in points)}."]
    placed = [(abs(e), p) for p in points if (e := p.in_margins(p.effect)) is not None]
    if placed:
        beyond = sum(e > 1 for e, _ in placed)
        parts.append(
            f"{beyond} of {count(len(placed), 'effect')} "
            f"{'lies' if beyond == 1 else 'lie'} beyond the margin."
        )
        _, widest = max(placed, key=lambda pair: pair[0])
        parts.append(f"The largest is that of {_in_words(widest)}.")
        if len(placed) > 1:
            _, least = min(placed, key=lambda pair: pair[0])
            parts.append(f"The smallest is that of {_in_words(least)}.")
    without = sum(p.lower is None for p in points)
    if without:
        parts.append(
            f"{count(without, 'feature')} {'has' if without == 1 else 'have'} no interval."
        )
    return " ".join(parts)


def _in_words(point: ForestPoint) -> str:
    text = f"{quoted(point.name)}, {number(point.in_margins(point.effect))} margins"
    lower, upper = point.in_margins(point.lower), point.in_margins(point.upper)
    if lower is not None and upper is not None:
        text += f" (interval {number(lower)} to {number(upper)})"
    return text + f", {point.verdict or 'not judged'}"
