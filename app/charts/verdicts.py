"""How verdicts look, the same in every chart: a shape, filled or not, a letter and a colour."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from app.charts.drawing import Drawing, Panel, field
from app.charts.palette import paint
from app.charts.words import listing

Filled = Literal["whole", "half", "none"]


@dataclass(frozen=True)
class Look:
    """The signs of one verdict."""

    shape: str
    filled: Filled
    letter: str


_CROSS = "M-.9,-.9L.9,.9M-.9,.9L.9,-.9"
_LEFT_HALF = "M0,-1A1,1,0,0,0,0,1Z"

LOOKS = {
    "drifted": Look("triangle-up", "whole", "D"),
    "stable": Look("circle", "whole", "S"),
    "inconclusive": Look("circle", "half", "I"),
    "insufficient": Look("circle", "none", "N"),
    "untrusted": Look(_CROSS, "none", "U"),
    "invalid": Look("square", "whole", "X"),
}
"""Verdict → signs, in the order of legends: what asks for attention first."""

NOTHING = "not judged"
"""Stands where there is no verdict."""

SIZE = 64.0
"""Area of a symbol in square pixels."""


LEGEND_LINE = 18


def check_verdict(verdict: str | None, name: str) -> None:
    """Refuse a word that is no verdict.

    Raises:
        ValueError: it is none of the six.
    """
    if verdict is not None and verdict not in LOOKS:
        raise ValueError(f"verdict of {name!r} is {verdict!r}; it is one of {', '.join(LOOKS)}")


def colour(verdict: str | None) -> str:
    """The verdict's paint."""
    return paint(verdict or "muted")


def counts(verdicts: Iterable[str | None]) -> dict[str, int]:
    """Verdict → how many, those that occur, in the order of legends."""
    found = list(verdicts)
    tally = {name: found.count(name) for name in LOOKS}
    tally[NOTHING] = found.count(None)
    return {name: n for name, n in tally.items() if n}


def counted(verdicts: Iterable[str | None]) -> str:
    """`2 drifted, 9 stable and 1 inconclusive`."""
    return listing(f"{n:,} {name}" for name, n in counts(verdicts).items())


def symbols(drawing: Panel, rows: Iterable[dict[str, Any]], x: Any, y: Any) -> None:
    """A symbol for each row by its `verdict`, at the channels x and y."""
    rows = list(rows)
    for verdict, look in LOOKS.items():
        found = [row for row in rows if row["verdict"] == verdict]
        place: dict[str, Any] = {"x": x, "y": y, "size": SIZE}
        drawing.draw(
            "symbol",
            found,
            shape=look.shape,
            fill=colour(verdict) if look.filled == "whole" else paint("surface"),
            stroke=colour(verdict),
            strokeWidth=1.6,
            **place,
        )
        if look.filled == "half":
            drawing.draw("symbol", found, shape=_LEFT_HALF, fill=colour(verdict), **place)
    drawing.draw(
        "symbol",
        [row for row in rows if row["verdict"] is None],
        x=x,
        y=y,
        shape="square",
        size=SIZE * 0.8,
        fill=paint("surface"),
        stroke=colour(None),
        strokeWidth=1.6,
    )


def legend_height(verdicts: Iterable[str | None], width: float) -> int:
    """What the legend of these verdicts takes at the top of a picture."""
    return _height(flow(_texts(verdicts), width))


def legend(drawing: Drawing, verdicts: Iterable[str | None], width: float) -> None:
    """The verdicts that occur with their signs and counts, at the top of the picture."""
    tally = counts(verdicts)
    rows = [
        {**row, "x": row["x"] - 9, "verdict": None if name == NOTHING else name}
        for name, row in zip(tally, flow(_texts(verdicts), width), strict=True)
    ]
    symbols(drawing, rows, field("x"), field("y"))
    drawing.text([{**row, "x": row["x"] + 9} for row in rows], x=field("x"), y=field("y"))


def _texts(verdicts: Iterable[str | None]) -> list[str]:
    return [f"{name} ({n})" for name, n in counts(verdicts).items()]


def flow(texts: Iterable[str], width: float, sign: float = 27) -> list[dict[str, Any]]:
    """Rows of a drawing (`x`, `y`, `text`): texts in lines of that width, room for a sign before.

    No text is measured: each is given what a wide font takes.
    """
    rows: list[dict[str, Any]] = []
    right, line = 0.0, 0
    for text in texts:
        long = sign + 6.9 * len(text)
        if right + long > width and rows:
            right, line = 0.0, line + 1
        rows.append({"x": right + sign, "y": LEGEND_LINE * (line + 0.5) + 4, "text": text})
        right += long
    return rows


def _height(rows: list[dict[str, Any]]) -> int:
    return 4 + LEGEND_LINE * len({row["y"] for row in rows})
