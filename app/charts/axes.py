"""What several charts' axes share: limits and ticks in margins, and names of checkpoints."""

import math
from collections.abc import Iterator, Sequence

from rich.cells import cell_len

from app.charts.drawing import Drawing, Row, field
from app.charts.words import UNICODE, number, shorten

LINEAR_LIMIT = 12.0
"""Beyond so many margins an axis turns to a symmetric logarithm, which keeps ±1 in sight."""

LABEL_CELLS = 16
STEEP = 55.0
"""Degrees by which names of checkpoints are turned."""


def limits_of(values: Sequence[float | None]) -> tuple[float, float]:
    """Limits in margins that hold every finite value, rounded outwards, ±1.5 at least."""
    ends = [value for value in values if value is not None and math.isfinite(value)]
    return -_outwards(-min(ends, default=0.0)), _outwards(max(ends, default=0.0))


def _outwards(value: float) -> float:
    if value <= 1.4:
        return 1.5
    if value <= LINEAR_LIMIT * 0.98:
        return float(math.ceil(value * 1.02))
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if value <= step * power)


def is_far(low: float, high: float) -> bool:
    """Whether the limits ask for a symmetric logarithm."""
    return max(-low, high) > LINEAR_LIMIT


def margin_ticks(low: float, high: float, most: int) -> list[float]:
    """Ticks within limits in margins: as many as may be, on both sides alike, 0 among them."""
    return next(
        ticks
        for steps in _steps(max(-low, high))
        if len(ticks := [v for v in _mirrored(steps) if low <= v <= high]) <= most
    )


def _steps(reach: float) -> Iterator[list[float]]:
    """Ticks above 0 up to that reach, ever fewer of them."""
    if reach <= LINEAR_LIMIT:
        for step in (1.0, 2.0, 4.0, 6.0, 12.0):
            yield [step * k for k in range(1, 13)]
    else:
        powers = [10.0**p for p in range(math.floor(math.log10(reach)) + 1)]
        yield [m * power for power in powers for m in (1.0, 3.0)]
        for stride in range(1, len(powers) + 1):
            yield powers[::stride]
    yield []


def _mirrored(steps: Sequence[float]) -> list[float]:
    return [-v for v in reversed(steps)] + [0.0, *steps]


def tick_rows(ticks: Sequence[float]) -> list[Row]:
    """Rows of a drawing: `v` and its `text`."""
    return [{"v": v, "text": number(v)} for v in ticks]


def spread(n: int, width: float) -> list[float]:
    """Places of n checkpoints along a width, in the middles of equal parts."""
    return [width * (i + 0.5) / n for i in range(n)]


def label_room(names: Sequence[str]) -> float:
    """Height that the turned names need below a picture, in a wide font."""
    longest = max(cell_len(shorten(name, LABEL_CELLS), UNICODE) for name in names)
    return 18 + 7.0 * longest * math.sin(math.radians(STEEP))


def checkpoint_labels(
    drawing: Drawing, names: Sequence[str], left: float, places: Sequence[float], bottom: float
) -> None:
    """Turned names below a picture; of names closer than 16 pixels only some, the newest always."""
    gap = places[1] - places[0] if len(places) > 1 else math.inf
    every = max(1, math.ceil(16 / gap))
    rows: list[Row] = [
        {"x": left + place + 3, "text": shorten(name, LABEL_CELLS)}
        for i, (name, place) in enumerate(zip(names, places, strict=True))
        if (len(names) - 1 - i) % every == 0
    ]
    drawing.text(rows, x=field("x"), y=bottom + 10, align="right", angle=-STEEP)
