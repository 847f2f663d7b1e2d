"""Heat map: features × checkpoints, a letter for the verdict, shade and bar for the drift score."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.charts.axes import checkpoint_labels, label_room
from app.charts.chart import Chart, Value, check_number, check_prefix, digest_prefix
from app.charts.drawing import Drawing, field
from app.charts.palette import paint
from app.charts.svg import finish
from app.charts.verdicts import LOOKS, check_verdict, counted, counts, flow
from app.charts.words import clean, count, number, quoted, shorten

COLUMNS = ("feature", "checkpoint", "verdict", "drift score")
LEFT, ROW, MARGIN = 206, 18, 14
WIDEST, NARROWEST = 40.0, 14.0
WIDTH = 760
FEATURES, CHECKPOINTS, CELLS = 200, 39, 3600
"""What one picture holds at most, so that it stays small; the table beneath holds the rest too."""

STEPS = (0.05, 0.25, 0.5, 0.75)
"""Drift scores from which a cell is shaded, and darker."""

UNKNOWN = "–"


@dataclass(frozen=True)
class HeatCell:
    """What one checkpoint's evaluation says of one feature.

    Attributes:
        feature, checkpoint: names, as in the lists given beside the cells.
        verdict: one of the six, or nothing.
        drift_score: from 0 (noise) to 1 (no better than random weights), or nothing.

    Raises:
        ValueError: an unknown verdict, or a score outside of [0, 1].
    """

    feature: str
    checkpoint: str
    verdict: str | None
    drift_score: float | None

    def __post_init__(self) -> None:
        check_verdict(self.verdict, self.feature)
        check_number(self.drift_score, "drift_score", self.feature)
        if self.drift_score is not None and not 0 <= self.drift_score <= 1:
            raise ValueError(
                f"drift_score of {self.feature!r} at {self.checkpoint!r} is {self.drift_score}; "
                "it lies between 0 and 1"
            )


def heat_map(
    features: Sequence[str],
    checkpoints: Sequence[str],
    cells: Sequence[HeatCell],
    *,
    title: str = "Verdicts and drift scores over checkpoints",
    prefix: str = "",
) -> Chart:
    """One row a feature and one column a checkpoint, in the orders given.

    A letter gives the verdict. The drift score is a shade, and a bar along the bottom of its cell
    as long as the score, so that nothing rests on colour. A cell without a score has no bar.

    Args:
        features: at least one; of more than 200 the first are drawn.
        checkpoints: the oldest first, at least one; of more than 39, or more than make 3,600
            cells, the newest are drawn.
        cells: at most one for a feature and a checkpoint; where none is given, the cell is empty.
        title: names the picture.
        prefix: begins the ids; made from the content if not given.

    Raises:
        ValueError: no features or checkpoints, a cell given twice or of something not listed, or
            an unfit prefix.
        ChartsNotInstalledError: without the extra `charts`.
    """
    _check(features, checkpoints, cells)
    title = clean(title)
    rows, newest = _shown(features, checkpoints)
    step = max(NARROWEST, min(WIDEST, (WIDTH - LEFT - MARGIN) // len(newest)))
    places = {name: step * i for i, name in enumerate(newest)}
    drawn = [c for c in cells if c.feature in rows and c.checkpoint in places]
    top = 30 + max((row["y"] + 9 for row in flow(_entries(drawn), WIDTH, 12)), default=0)
    bottom = top + ROW * len(rows)
    drawing = Drawing(WIDTH, bottom + label_room(newest) + 6)
    _legend(drawing, drawn, top)
    names = [{"y": top + ROW * (i + 0.5), "text": shorten(n, 26)} for n, i in rows.items()]
    drawing.column(names, 12, LEFT - 6, top, bottom)
    _cells(drawing, drawn, rows, places, top, step)
    middles = [place + step / 2 for place in places.values()]
    checkpoint_labels(drawing, newest, LEFT, middles, bottom)
    description = _describe(features, checkpoints, cells, len(newest))
    name = check_prefix(prefix or digest_prefix("heat", drawing.content() + title))
    svg = finish(drawing.render(), prefix=name, title=title, description=description)
    table = tuple(_table_row(cell) for cell in _sorted(features, checkpoints, cells))
    return Chart(svg, title, description, COLUMNS, table)


def _check(features: Sequence[str], checkpoints: Sequence[str], cells: Sequence[HeatCell]) -> None:
    for what, names in (("features", features), ("checkpoints", checkpoints)):
        if not names:
            raise ValueError(f"{what} is empty; a heat map needs at least one")
        if len(set(names)) < len(names):
            twice = next(name for name in names if list(names).count(name) > 1)
            raise ValueError(f"{what} holds {twice!r} twice; give each once")
    known, times = set(features), set(checkpoints)
    seen: set[tuple[str, str]] = set()
    for cell in cells:
        key = (cell.feature, cell.checkpoint)
        if cell.feature not in known or cell.checkpoint not in times:
            raise ValueError(f"a cell is of {key!r}, which is not in features and checkpoints")
        if key in seen:
            raise ValueError(f"the cell of {key!r} is given twice; give it once")
        seen.add(key)


def _shown(features: Sequence[str], checkpoints: Sequence[str]) -> tuple[dict[str, int], list[str]]:
    """Feature → row, and the checkpoints that the picture has room for."""
    rows = {name: i for i, name in enumerate(features[:FEATURES])}
    return rows, list(checkpoints[-min(CHECKPOINTS, CELLS // len(rows)) :])


def _cells(
    drawing: Drawing,
    cells: Sequence[HeatCell],
    rows: dict[str, int],
    places: dict[str, float],
    top: float,
    step: float,
) -> None:
    width, bottom = step * len(places), top + ROW * len(rows)
    drawing.draw("rect", [{}], x=LEFT, y=top, width=width, y2=bottom, fill=paint("heat0"))
    drawn: list[dict[str, Any]] = [
        {
            "x": LEFT + places[cell.checkpoint] + 1,
            "middle": LEFT + places[cell.checkpoint] + step / 2,
            "right": LEFT + places[cell.checkpoint] + step - 1,
            "y": top + ROW * (rows[cell.feature] + 0.5),
            "line": top + ROW * rows[cell.feature] + 8,
            "bar": top + ROW * (rows[cell.feature] + 1) - 2.5,
            "score": cell.drift_score or 0.0,
            "end": LEFT + places[cell.checkpoint] + 1 + (step - 2) * (cell.drift_score or 0),
            "text": LOOKS[cell.verdict].letter if cell.verdict else UNKNOWN,
        }
        for cell in sorted(cells, key=lambda c: (rows[c.feature], places[c.checkpoint]))
    ]
    _shades(drawing, drawn, ROW - 2)
    _bars(drawing, [row for row in drawn if row["end"] >= row["x"] + 1])
    for bold in (False, True):
        letters = [row for row in drawn if (row["text"] == LOOKS["drifted"].letter) == bold]
        weight: dict[str, Any] = {"fontWeight": "bold"} if bold else {}
        place: dict[str, Any] = {"x": field("middle"), "y": field("line"), "align": "center"}
        drawing.text(letters, fontSize=10, **place, **weight)
    lines: dict[str, Any] = {"stroke": paint("surface"), "strokeWidth": 2}
    edges = [{"v": top + ROW * i} for i in range(len(rows) + 1)]
    drawing.draw("rule", edges, y=field("v"), x=LEFT, x2=LEFT + width, **lines)
    edges = [{"v": LEFT + step * i} for i in range(len(places) + 1)]
    drawing.draw("rule", edges, x=field("v"), y=top, y2=bottom, **lines)
    missing = {(f, c) for f in rows for c in places} - {(c.feature, c.checkpoint) for c in cells}
    holes = [
        {"x": LEFT + places[c], "y": top + ROW * rows[f]}
        for f, c in sorted(missing, key=lambda key: (rows[key[0]], places[key[1]]))
    ]
    hole: dict[str, Any] = {"width": step, "height": ROW, "fill": paint("surface")}
    drawing.draw("rect", holes, x=field("x"), y=field("y"), **hole)


def _shades(drawing: Drawing, cells: Sequence[dict[str, Any]], height: float) -> None:
    """Boxes from `x` to `right` about `y`; as thick lines, which take half as many letters."""
    box: dict[str, Any] = {"x": field("x"), "x2": field("right"), "y": field("y")}
    for shade in range(1, len(STEPS) + 1):
        rows = [cell for cell in cells if _shade(cell["score"]) == shade]
        drawing.draw("rule", rows, stroke=paint(f"heat{shade}"), strokeWidth=height, **box)


def _bars(drawing: Drawing, cells: Sequence[dict[str, Any]]) -> None:
    line: dict[str, Any] = {"x": field("x"), "x2": field("end"), "y": field("bar")}
    drawing.draw("rule", cells, stroke=paint("ink"), strokeWidth=3, **line)


def _shade(score: float) -> int:
    return sum(score >= step for step in STEPS)


def _entries(cells: Sequence[HeatCell]) -> list[str]:
    letters = {name: look.letter for name, look in LOOKS.items()}
    found = counts(cell.verdict for cell in cells)
    return [f"{letters.get(name, UNKNOWN)}  {name} ({n})" for name, n in found.items()]


def _legend(drawing: Drawing, cells: Sequence[HeatCell], top: float) -> None:
    drawing.text(flow(_entries(cells), WIDTH, 12), x=field("x"), y=field("y"))
    y = top - 15
    edges = ("0", *map(number, STEPS))
    keys = []
    for i, edge in enumerate(edges):
        x, score = 90.0 + 78 * i, float(edge)
        key = {"x": x, "right": x + 14, "y": y, "bar": y + 5.5, "end": x + 14 * score}
        keys.append({**key, "score": score, "tx": x + 18, "text": f"from {edge}"})
    drawing.text([{"text": "drift score"}], x=12, y=y)
    drawing.draw("rect", keys[:1], x=field("x"), y=y - 7, width=14, height=14, fill=paint("heat0"))
    _shades(drawing, keys, 14)
    _bars(drawing, keys[1:])
    drawing.text(keys, x=field("tx"), y=field("y"))


def _sorted(
    features: Sequence[str], checkpoints: Sequence[str], cells: Sequence[HeatCell]
) -> list[HeatCell]:
    rows = {name: i for i, name in enumerate(features)}
    places = {name: i for i, name in enumerate(checkpoints)}
    return sorted(cells, key=lambda c: (rows[c.feature], places[c.checkpoint]))


def _table_row(cell: HeatCell) -> tuple[Value, ...]:
    return (cell.feature, cell.checkpoint, cell.verdict, cell.drift_score)


def _describe(
    features: Sequence[str], checkpoints: Sequence[str], cells: Sequence[HeatCell], drawn: int
) -> str:
    parts = [f"{count(len(features), 'feature')} at {count(len(checkpoints), 'checkpoint')}."]
    if not cells:
        return f"{parts[0]} Nothing was judged."
    if (cut := len(features) - FEATURES) > 0:
        parts.append(f"The picture leaves out the last {count(cut, 'feature')}.")
    if (cut := len(checkpoints) - drawn) > 0:
        parts.append(f"The picture leaves out the oldest {count(cut, 'checkpoint')}.")
    parts.append(f"Of {count(len(cells), 'verdict')}: {counted(c.verdict for c in cells)}.")
    newest = [c for c in cells if c.checkpoint == checkpoints[-1]]
    if len(checkpoints) > 1 and newest:
        verdicts = counted(c.verdict for c in newest)
        parts.append(f"At the newest, {quoted(checkpoints[-1])}: {verdicts}.")
    scored = [(c.drift_score, c) for c in cells if c.drift_score is not None]
    if scored:
        score, cell = max(scored, key=lambda pair: pair[0])
        parts.append(
            f"The highest drift score is {number(score)}, of {quoted(cell.feature)} at "
            f"{quoted(cell.checkpoint)}."
        )
    return " ".join(parts)
