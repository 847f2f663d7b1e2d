"""A dictionary's health over checkpoints: what it leaves unexplained, what is on, what is dead."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from app.charts.axes import checkpoint_labels, label_room, spread, tick_rows
from app.charts.chart import Chart, check_number, check_prefix, digest_prefix
from app.charts.drawing import Drawing, Panel, at, field, on
from app.charts.palette import paint
from app.charts.svg import finish
from app.charts.words import clean, count, number, quoted

COLUMNS = (
    *("checkpoint", "FVU", "FVU of the baseline", "FVU allowed", "L0", "L0 of the baseline"),
    *("dead", "dead of the baseline"),
)
WIDTH, LEFT, RIGHT, HEIGHT, HEAD, GAP, LEGEND = 760, 76, 744, 88, 20, 18, 22
SIZE = 48


@dataclass(frozen=True)
class HealthPoint:
    """A dictionary on one checkpoint, and on the baseline beside it; nothing where it is unknown.

    Attributes:
        fvu, fvu_baseline: the share of the activations' variance left unexplained.
        fvu_max: above this on the baseline, the dictionary is taken to read nothing.
        l0, l0_baseline: latents on at a token.
        dead, dead_baseline: the share of latents that were on at no token.
    """

    checkpoint: str
    fvu: float | None
    fvu_baseline: float | None
    fvu_max: float | None
    l0: float | None
    l0_baseline: float | None
    dead: float | None
    dead_baseline: float | None

    def __post_init__(self) -> None:
        for what, value in vars(self).items():
            if what != "checkpoint":
                check_number(value, what, self.checkpoint)


_Read = Callable[[HealthPoint], float | None]
_PANELS: tuple[tuple[str, _Read, _Read], ...] = (
    ("FVU – share of variance left unexplained", lambda p: p.fvu, lambda p: p.fvu_baseline),
    ("L0 – latents on at a token", lambda p: p.l0, lambda p: p.l0_baseline),
    ("dead – share of latents on at no token", lambda p: p.dead, lambda p: p.dead_baseline),
)


def health_over_checkpoints(
    points: Sequence[HealthPoint],
    *,
    title: str = "Health of the dictionary over checkpoints",
    prefix: str = "",
) -> Chart:
    """Three panels, one below the other: FVU with its limit, L0, dead latents.

    Args:
        points: the oldest first; at least one.
        title: names the picture.
        prefix: begins the ids; made from the content if not given.

    Raises:
        ValueError: no points, a figure that is NaN, or an unfit prefix.
        ChartsNotInstalledError: without the extra `charts`.
    """
    if not points:
        raise ValueError("there are no points; there is nothing to draw")
    title = clean(title)
    names = [point.checkpoint for point in points]
    bottom = LEGEND + len(_PANELS) * (HEAD + HEIGHT + GAP) - GAP
    drawing = Drawing(WIDTH, bottom + label_room(names) + 6)
    _legend(drawing)
    places = spread(len(points), RIGHT - LEFT)
    for i, (heading, read, read_baseline) in enumerate(_PANELS):
        y = LEGEND + i * (HEAD + HEIGHT + GAP)
        drawing.text([{"text": heading}], x=LEFT, y=y + HEAD / 2)
        panel = drawing.panel(LEFT, y + HEAD, RIGHT - LEFT, HEIGHT)
        limits = [point.fvu_max for point in points] if i == 0 else []
        _panel(panel, places, list(map(read, points)), list(map(read_baseline, points)), limits)
    checkpoint_labels(drawing, names, LEFT, places, bottom)
    description = _describe(points)
    name = check_prefix(prefix or digest_prefix("health", drawing.content() + title))
    svg = finish(drawing.render(), prefix=name, title=title, description=description)
    rows = tuple(
        (
            *(p.checkpoint, p.fvu, p.fvu_baseline, p.fvu_max),
            *(p.l0, p.l0_baseline, p.dead, p.dead_baseline),
        )
        for p in points
    )
    return Chart(svg, title, description, COLUMNS, rows)


def _legend(drawing: Drawing) -> None:
    y = LEGEND / 2
    _marks(drawing, [{"x": LEFT + 6, "y": y}], baseline=False)
    _marks(drawing, [{"x": LEFT + 106, "y": y}], baseline=True)
    rule = {"x": LEFT + 200, "x2": LEFT + 224, "y": y}
    drawing.draw("rule", [{}], stroke=paint("muted"), strokeDash={"value": [4, 3]}, **rule)
    texts = ((18, "checkpoint"), (118, "baseline"), (230, "most FVU that is allowed"))
    drawing.text([{"x": LEFT + x, "text": text} for x, text in texts], x=field("x"), y=y)


def _panel(
    panel: Panel,
    places: Sequence[float],
    values: Sequence[float | None],
    baselines: Sequence[float | None],
    limits: Sequence[float | None],
) -> None:
    top = _top([*values, *baselines, *limits])
    panel.scale("y", (0, top), (panel.height, 0))
    ticks = [0.0, top / 2, top]
    panel.draw(
        "rule", [{"v": v} for v in ticks], y=on("y", "v"), x=0, x2=panel.width, stroke=paint("grid")
    )
    panel.draw("rule", [{}], y=at("y", 0), x=0, x2=panel.width, stroke=paint("muted"))
    panel.text(tick_rows(ticks), x=-8, y=on("y", "v"), align="right")
    half = panel.width / len(places) / 2
    panel.draw(
        "rule",
        [
            {"x": x - half, "x2": x + half, "v": limit}
            for x, limit in zip(places, limits, strict=False)
            if limit is not None
        ],
        x=field("x"),
        x2=field("x2"),
        y=on("y", "v"),
        stroke=paint("muted"),
        strokeDash={"value": [4, 3]},
    )
    scaled = {"y": {"scale": "y", "field": "v"}}
    for found, baseline in ((baselines, True), (values, False)):
        placed = list(zip(places, found, strict=True))
        rows = [{"x": x, "v": value} for x, value in placed if value is not None]
        if not baseline:
            for known, run in groupby(placed, lambda pair: pair[1] is not None):
                joined = [{"x": x, "v": value} for x, value in run]
                if known and len(joined) > 1:
                    panel.draw(
                        "line",
                        joined,
                        x=field("x"),
                        stroke=paint("line"),
                        strokeWidth=1.8,
                        **scaled,
                    )
        _marks(panel, rows, baseline=baseline, **scaled)


def _marks(
    panel: Panel, rows: Sequence[dict[str, float]], *, baseline: bool, y: object = None
) -> None:
    """A filled circle for a checkpoint, around it a hollow diamond for the baseline."""
    panel.draw(
        "symbol",
        rows,
        x=field("x"),
        y=y if isinstance(y, dict) else field("y"),
        shape="diamond" if baseline else "circle",
        size=3 * SIZE if baseline else SIZE,
        fill=paint("surface" if baseline else "line"),
        stroke=paint("muted" if baseline else "line"),
        strokeWidth=1.6,
    )


def _top(values: Sequence[float | None]) -> float:
    """The least of 1, 2 and 5 times a power of ten that holds all values; 1 if none is above 0."""
    most = max((v for v in values if v is not None and math.isfinite(v)), default=0.0)
    if most <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(most))
    return next(step * power for step in (1, 2, 5, 10) if most <= step * power * (1 + 1e-9))


def _describe(points: Sequence[HealthPoint]) -> str:
    span = f"{count(len(points), 'checkpoint')}, "
    span += (
        f"from {quoted(points[0].checkpoint)} to {quoted(points[-1].checkpoint)}."
        if len(points) > 1
        else f"{quoted(points[0].checkpoint)}."
    )
    newest = points[-1]
    text = (
        f"{span} At the newest FVU is {number(newest.fvu)}, on the baseline "
        f"{number(newest.fvu_baseline)}; L0 {number(newest.l0)}, on the baseline "
        f"{number(newest.l0_baseline)}; dead {number(newest.dead)}, on the baseline "
        f"{number(newest.dead_baseline)}."
    )
    over = [p for p in points if p.fvu is not None and p.fvu_max is not None and p.fvu > p.fvu_max]
    if over:
        text += (
            f" FVU is above what is allowed at {len(over)} of them, first at "
            f"{quoted(over[0].checkpoint)}."
        )
    return text
