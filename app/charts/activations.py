"""Before and after: a feature's activation at each token on the baseline and on the candidate."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from app.charts.chart import Chart, Value, check_prefix, digest_prefix
from app.charts.drawing import Drawing, Panel, at, field, on
from app.charts.palette import paint
from app.charts.svg import finish
from app.charts.words import clean, count, number, shorten

COLUMNS = (
    *("baseline activation from", "to", "tokens"),
    *("candidate lowest", "candidate mean", "candidate highest"),
)
SINGLE = 400
"""So many different places are drawn one by one; more are gathered in squares."""

BINS, CELL = 46, 8.0
SIDE = BINS * CELL
LEFT, TOP, KEY = 64.0, 12.0, 130.0
RANGES = 10
POWERS = (1, 10, 100, 1_000, 10_000)
"""Token counts from which a square is larger."""


class Activation(NamedTuple):
    """One token on both sides, or as many as `tokens` says that are equal in both."""

    baseline: float
    candidate: float
    tokens: int = 1


def before_after(
    points: Iterable[Activation | tuple[float, float]],
    *,
    feature: str = "",
    threshold: float | None = None,
    title: str = "",
    prefix: str = "",
) -> Chart:
    """Candidate against baseline, token by token; on the diagonal nothing changed.

    Up to 400 different places are circles. More are gathered in 46 × 46 squares whose size grows
    with the logarithm of their tokens, so that the picture stays small for any number of them.

    Args:
        points: pairs of activations, at least one, all finite; a third entry counts tokens.
        feature: its name, for the words.
        threshold: above which the feature is on; its lines are drawn and the tokens counted by it.
        title: names the picture; made from the feature's name if not given.
        prefix: begins the ids; made from the content if not given.

    Raises:
        ValueError: no points, a value that is not finite, tokens below 1, or an unfit prefix.
        ChartsNotInstalledError: without the extra `charts`.
    """
    tally: Counter[tuple[float, float]] = Counter()
    for point in points:
        pair = Activation(*point)
        if not (math.isfinite(pair.baseline) and math.isfinite(pair.candidate)):
            raise ValueError(f"an activation is {tuple(pair)}; both sides are finite numbers")
        if pair.tokens < 1:
            raise ValueError(f"tokens of {tuple(pair)} is below 1; leave such points out")
        tally[(float(pair.baseline), float(pair.candidate))] += pair.tokens
    if not tally:
        raise ValueError("points is empty; there is no activation to draw")
    places = sorted(tally.items())
    default = f"Activation before and after: {shorten(feature, 60)}"
    title = clean(title) or (default if feature else "Activation before and after")
    low, high = _limits(tally)
    drawing = Drawing(LEFT + SIDE + 16 + KEY, TOP + SIDE + 48)
    panel = drawing.panel(LEFT, TOP, SIDE, SIDE)
    _frame(panel, low, high, threshold)
    binned = len(places) > SINGLE
    (_squares if binned else _circles)(drawing, panel, places, (low, high))
    across: dict[str, Any] = {"y": TOP + SIDE + 36, "x": LEFT + SIDE / 2, "align": "center"}
    drawing.text([{"text": "activation on the baseline"}], **across)
    upwards: dict[str, Any] = {"x": 14, "y": TOP + SIDE / 2, "align": "center", "angle": -90}
    drawing.text([{"text": "activation on the candidate"}], **upwards)
    description = _describe(places, threshold)
    name = check_prefix(prefix or digest_prefix("activation", drawing.content() + title))
    svg = finish(drawing.render(), prefix=name, title=title, description=description)
    return Chart(svg, title, description, COLUMNS, tuple(_table(places)))


def _limits(tally: Iterable[tuple[float, float]]) -> tuple[float, float]:
    values = [value for pair in tally for value in pair]
    low, high = min(0.0, *values), max(0.0, *values)
    return (low, high) if high > low else (low, low + 1.0)


def _frame(panel: Panel, low: float, high: float, threshold: float | None) -> None:
    panel.scale("x", (low, high), (0, SIDE))
    panel.scale("y", (low, high), (SIDE, 0))
    panel.axis("x", "bottom", tickCount=6, gridScale="y")
    panel.axis("y", "left", tickCount=6, gridScale="x")
    ends: dict[str, Any] = {
        "x": at("x", low),
        "y": at("y", low),
        "x2": at("x", high),
        "y2": at("y", high),
    }
    panel.draw("rule", [{}], stroke=paint("muted"), strokeDash={"value": [6, 4]}, **ends)
    if threshold is not None and low < threshold < high:
        dots: dict[str, Any] = {"stroke": paint("ink"), "strokeDash": {"value": [1, 3]}}
        panel.draw("rule", [{}], x=at("x", threshold), y=0, y2=SIDE, **dots)
        panel.draw("rule", [{}], y=at("y", threshold), x=0, x2=SIDE, **dots)


Places = Sequence[tuple[tuple[float, float], int]]


def _circles(drawing: Drawing, panel: Panel, places: Places, limits: tuple[float, float]) -> None:
    del limits
    looks: dict[str, Any] = {"shape": "circle", "size": 28, "stroke": paint("line")}
    rows = [{"b": b, "c": c} for (b, c), _ in places]
    panel.draw("symbol", rows, x=on("x", "b"), y=on("y", "c"), strokeWidth=1.3, **looks)
    x = LEFT + SIDE + 26
    drawing.draw("symbol", [{}], x=x, y=TOP + 8, strokeWidth=1.3, **looks)
    drawing.text([{"text": "a token"}], x=x + 12, y=TOP + 8)
    _diagonal_key(drawing, x, TOP + 28)


def _squares(drawing: Drawing, panel: Panel, places: Places, limits: tuple[float, float]) -> None:
    low, high = limits
    bins: Counter[tuple[int, int]] = Counter()
    for (b, c), n in places:
        bins[_bin(b, low, high), _bin(c, low, high)] += n
    x = LEFT + SIDE + 22
    y = TOP + 8.0
    drawing.text([{"text": "tokens"}], x=x, y=y)
    for level, power in enumerate(POWERS):
        size = 3.0 + 1.25 * level
        found = sorted(place for place, n in bins.items() if _level(n) == level)
        rows = [
            {
                "x": CELL * (i + 0.5) - size / 2,
                "y": SIDE - CELL * (j + 0.5) - size / 2,
            }
            for i, j in found
        ]
        box: dict[str, Any] = {"width": size, "height": size, "fill": paint("line")}
        panel.draw("rect", rows, x=field("x"), y=field("y"), **box)
        y += 18
        drawing.draw("rect", [{}], x=x + 4 - size / 2, y=y - size / 2, **box)
        drawing.text([{"text": _powers(level, power)}], x=x + 16, y=y)
    _diagonal_key(drawing, x, y + 22)


def _diagonal_key(drawing: Drawing, x: float, y: float) -> None:
    drawing.draw(
        "rule", [{}], x=x - 6, x2=x + 18, y=y, stroke=paint("muted"), strokeDash={"value": [6, 4]}
    )
    drawing.text([{"text": "unchanged"}], x=x + 24, y=y)


def _powers(level: int, power: int) -> str:
    if level == len(POWERS) - 1:
        return f"{power:,} or more"
    return f"{power:,} to {POWERS[level + 1] - 1:,}"


def _bin(value: float, low: float, high: float) -> int:
    return min(BINS - 1, int((value - low) / (high - low) * BINS))


def _level(tokens: int) -> int:
    return sum(tokens >= power for power in POWERS) - 1


def _table(places: Places) -> Iterable[tuple[Value, ...]]:
    """Tokens that are 0 on the baseline, then equal ranges of the baseline's activation."""
    values = [b for (b, _), _ in places]
    low, high = min(values), max(values)
    width = (high - low) / RANGES
    zeros = [(c, n) for (b, c), n in places if b == 0]
    if zeros:
        yield _summary(0.0, 0.0, zeros)
    parts: dict[int, list[tuple[float, int]]] = {}
    for (b, c), n in places:
        if b != 0:
            i = min(RANGES - 1, int((b - low) / width)) if width else 0
            parts.setdefault(i, []).append((c, n))
    for i, part in sorted(parts.items()):
        end = high if i == RANGES - 1 or not width else low + width * (i + 1)
        yield _summary(low + width * i, end, part)


def _summary(start: float, end: float, part: Sequence[tuple[float, int]]) -> tuple[Value, ...]:
    tokens = sum(n for _, n in part)
    mean = math.fsum(c * n for c, n in part) / tokens
    return (start, end, tokens, min(c for c, _ in part), mean, max(c for c, _ in part))


@dataclass(frozen=True)
class _Moments:
    tokens: int
    baseline: float
    candidate: float
    concordance: float | None


def _moments(places: Places) -> _Moments:
    """Means, and Lin's (1989) concordance 2s_ab / (s_a² + s_b² + (ā − b̄)²)."""
    n = sum(count for _, count in places)
    a = math.fsum(b * k for (b, _), k in places) / n
    b = math.fsum(c * k for (_, c), k in places) / n
    aa = math.fsum((x - a) ** 2 * k for (x, _), k in places) / n
    bb = math.fsum((y - b) ** 2 * k for (_, y), k in places) / n
    ab = math.fsum((x - a) * (y - b) * k for (x, y), k in places) / n
    spread = aa + bb + (a - b) ** 2
    return _Moments(n, a, b, 2 * ab / spread if spread > 0 else None)


def _describe(places: Places, threshold: float | None) -> str:
    m = _moments(places)
    parts = [
        f"{count(m.tokens, 'token')}; mean activation {number(m.baseline)} on the baseline and "
        f"{number(m.candidate)} on the candidate."
    ]
    if threshold is not None:
        on: Counter[tuple[bool, bool]] = Counter()
        for (b, c), n in places:
            on[b > threshold, c > threshold] += n
        parts.append(
            f"Above the threshold {number(threshold)}: {on[True, True]:,} on both sides, "
            f"{on[True, False]:,} on the baseline only, {on[False, True]:,} on the candidate only, "
            f"{on[False, False]:,} on neither."
        )
    if m.concordance is not None:
        parts.append(f"Concordance {number(m.concordance)} (1 where nothing changed).")
    (b, c), _ = max(places, key=lambda place: abs(place[0][1] - place[0][0]))
    parts.append(
        "Nothing changed." if b == c else f"The largest change is from {number(b)} to {number(c)}."
    )
    return " ".join(parts)
