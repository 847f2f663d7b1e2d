"""Calibration: how often a promise was kept, beside how often it should be."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from app.charts.chart import Chart, Value, check_number, check_prefix, digest_prefix
from app.charts.drawing import Drawing, Row, at, field, on
from app.charts.palette import paint
from app.charts.svg import finish
from app.charts.words import clean, count, number, quoted, shorten

Promise = Literal["exactly", "at most", "at least"]
Standing = Literal["within", "above", "below"]

COLUMNS = (
    *("case", "promise", "nominal", "hits", "trials", "measured"),
    *("band lower", "band upper", "within chance"),
)
LEVEL = 0.95
WIDTH, ROW, TOP, BOTTOM = 760, 18, 50, 44
LEFT, RIGHT, FIGURES = 300, 580, 594

SHAPES: dict[Standing, str] = {
    "within": "circle",
    "above": "triangle-up",
    "below": "triangle-down",
}


@dataclass(frozen=True)
class CalibrationRow:
    """One promise and what became of it.

    Attributes:
        name: of the case.
        nominal: the share that was promised, between 0 and 1.
        hits, trials: how often it came, of how many independent times.
        promise: whether the share is to be `nominal`, or that is a bound.

    Raises:
        ValueError: a share outside of [0, 1], no trials, or more hits than trials.
    """

    name: str
    nominal: float
    hits: int
    trials: int
    promise: Promise = "exactly"

    def __post_init__(self) -> None:
        check_number(self.nominal, "nominal", self.name)
        if not 0 <= self.nominal <= 1:
            raise ValueError(f"nominal of {self.name!r} is {self.nominal}; it lies within 0 and 1")
        if not (self.trials >= 1 and 0 <= self.hits <= self.trials):
            raise ValueError(
                f"{self.name!r} has {self.hits} hits of {self.trials} trials; "
                "hits lie between 0 and trials, of which there is at least one"
            )

    @property
    def measured(self) -> float:
        """The share that came."""
        return self.hits / self.trials

    def band(self) -> tuple[float, float]:
        """Shares between which 95% of such runs lie if the nominal one is true."""
        low, high = binomial_band(self.nominal, self.trials)
        return low / self.trials, high / self.trials

    def standing(self) -> Standing:
        """Where the measured share lies, relative to the band."""
        low, high = self.band()
        return "below" if self.measured < low else "above" if self.measured > high else "within"

    def kept(self) -> bool:
        """Whether chance explains whatever is missing."""
        breaks = {"exactly": ("above", "below"), "at most": ("above",), "at least": ("below",)}
        return self.standing() not in breaks[self.promise]


def binomial_band(share: float, trials: int, level: float = LEVEL) -> tuple[int, int]:
    """Counts between which a binomial lies with at least that probability, tails alike.

    The lower end is the smallest k with P(X ≤ k) ≥ (1 − level)/2, the upper the smallest with
    P(X ≤ k) ≥ 1 − (1 − level)/2. Probabilities come from the mode outwards by their ratios, twelve
    standard deviations far, beyond which nothing is left that a float could hold beside them.
    """
    if share in (0.0, 1.0):
        return (round(share) * trials,) * 2
    spread = 12 * math.sqrt(trials * share * (1 - share)) + 12
    mode = min(trials, math.floor((trials + 1) * share))
    first, last = max(0, math.floor(mode - spread)), min(trials, math.ceil(mode + spread))
    odds = share / (1 - share)
    above, below = [1.0], []
    for k in range(mode, last):
        above.append(above[-1] * odds * (trials - k) / (k + 1))
    falling = 1.0
    for k in range(mode, first, -1):
        falling *= k / (odds * (trials - k + 1))
        below.append(falling)
    weights = [*reversed(below), *above]
    total, tail = math.fsum(weights), (1 - level) / 2
    low, high = (_quantile(weights, target * total) + first for target in (tail, 1 - tail))
    return low, high


def _quantile(weights: Sequence[float], target: float) -> int:
    mass = 0.0
    for k, weight in enumerate(weights):
        mass += weight
        if mass >= target:
            return k
    return len(weights) - 1


def calibration(
    rows: Sequence[CalibrationRow],
    *,
    title: str = "Promised and measured shares",
    prefix: str = "",
) -> Chart:
    """One row a promise: how far the measured share lies from the nominal one, and chance's band.

    The band is where 95% of runs of that length lie if the promise holds to the letter. Inside it
    a row is a circle; above or below, a triangle that points there, filled where the promise is
    broken and hollow where a bound is kept with room to spare.

    Args:
        rows: at least one.
        title: names the picture.
        prefix: begins the ids; made from the content if not given.

    Raises:
        ValueError: no rows, or an unfit prefix.
        ChartsNotInstalledError: without the extra `charts`.
    """
    if not rows:
        raise ValueError("rows is empty; there is no calibration to draw")
    title = clean(title)
    drawn = [_row(row, TOP + ROW * (i + 0.5)) for i, row in enumerate(rows)]
    ends = [abs(float(row[key])) for row in drawn for key in ("low", "high", "off")]
    reach = max(1.0, max(ends) * 1.05)
    bottom = TOP + ROW * len(rows)
    drawing = Drawing(WIDTH, bottom + BOTTOM)
    names = [{"y": row["y"], "text": row["name"]} for row in drawn]
    drawing.column(names, 12, LEFT - 4, TOP, bottom)
    panel = drawing.panel(LEFT, TOP, RIGHT - LEFT, bottom - TOP)
    panel.scale("x", (-reach, reach), (0, RIGHT - LEFT))
    panel.scale("y", (0, 1), (bottom - TOP, 0))
    panel.axis("x", "bottom", tickCount=7, gridScale="y")
    drawing.scale("x", (-reach, reach), (LEFT, RIGHT))
    _marks(drawing, drawn, bottom)
    _key(drawing)
    description = _describe(rows)
    name = check_prefix(prefix or digest_prefix("calibration", drawing.content() + title))
    svg = finish(drawing.render(), prefix=name, title=title, description=description)
    return Chart(svg, title, description, COLUMNS, tuple(map(_table_row, rows)))


def _row(row: CalibrationRow, y: float) -> dict[str, Any]:
    low, high = row.band()
    sign = {"exactly": "", "at most": "≤ ", "at least": "≥ "}[row.promise]
    return {
        "y": y,
        "name": shorten(row.name, 38),
        "off": 100 * (row.measured - row.nominal),
        "low": 100 * (low - row.nominal),
        "high": 100 * (high - row.nominal),
        "figures": f"{_percent(row.measured)} of {row.trials:,} ({sign}{_percent(row.nominal)})",
        "standing": row.standing(),
        "kept": row.kept(),
    }


def _percent(share: float) -> str:
    return f"{number(100 * share)}%"


def _marks(drawing: Drawing, rows: Sequence[dict[str, Any]], bottom: float) -> None:
    drawing.draw(
        "rect",
        [{**row, "top": row["y"] - 5} for row in rows],
        x=on("x", "low"),
        x2=on("x", "high"),
        y=field("top"),
        height=10,
        fill=paint("band"),
    )
    drawing.draw("rule", [{}], x=at("x", 0), y=TOP, y2=bottom, stroke=paint("muted"))
    for standing in SHAPES:
        for kept in (True, False):
            found = [r for r in rows if r["standing"] == standing and r["kept"] == kept]
            drawing.draw("symbol", found, x=on("x", "off"), y=field("y"), **_look(standing, kept))
    drawing.text([{"y": r["y"], "text": r["figures"]} for r in rows], x=FIGURES, y=field("y"))
    heads: list[Row] = [
        {"x": 12, "text": "case"},
        {"x": FIGURES, "text": "measured (promised)"},
    ]
    drawing.text(heads, x=field("x"), y=TOP - 12, fill=paint("muted"))
    unit = "measured less promised, in percentage points"
    drawing.text([{"text": unit}], x=(LEFT + RIGHT) / 2, y=bottom + 34, align="center")


def _look(standing: Standing, kept: bool) -> dict[str, Any]:
    role = "stable" if kept else "drifted"
    filled = not kept or standing == "within"
    return {
        "shape": SHAPES[standing],
        "size": 56,
        "fill": paint(role) if filled else paint("surface"),
        "stroke": paint(role),
        "strokeWidth": 1.5,
    }


def _key(drawing: Drawing) -> None:
    keys: tuple[tuple[Standing, bool, float, str], ...] = (
        ("within", True, 20, "within chance"),
        ("above", False, 130, "above, broken"),
        ("below", False, 244, "below, broken"),
        ("below", True, 358, "outside, bound kept"),
    )
    for standing, kept, x, text in keys:
        drawing.draw("symbol", [{}], x=x, y=14, **_look(standing, kept))
        drawing.text([{"text": text}], x=x + 10, y=14)
    drawing.draw("rect", [{}], x=516, y=9, width=24, height=10, fill=paint("band"))
    drawing.text([{"text": "where chance leaves 95% of runs"}], x=546, y=14)


def _table_row(row: CalibrationRow) -> tuple[Value, ...]:
    low, high = row.band()
    within = "yes" if row.standing() == "within" else "kept" if row.kept() else "no"
    return (
        *(row.name, row.promise, row.nominal, row.hits, row.trials, row.measured),
        *(low, high, within),
    )


def _describe(rows: Sequence[CalibrationRow]) -> str:
    broken = [row for row in rows if not row.kept()]
    within = sum(row.standing() == "within" for row in rows)
    parts = [
        f"{count(len(rows), 'promise')}: {within} within what chance explains, "
        f"{len(rows) - within - len(broken)} outside with the bound kept, {len(broken)} broken."
    ]
    farthest = max(broken or rows, key=lambda row: abs(row.measured - row.nominal))
    parts.append(
        f"The {'broken one that is ' if broken else ''}farthest from its nominal share is "
        f"{quoted(farthest.name)}: {_percent(farthest.measured)} of "
        f"{count(farthest.trials, 'trial')}, promised {farthest.promise} "
        f"{_percent(farthest.nominal)}."
    )
    return " ".join(parts)
