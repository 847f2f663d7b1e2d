"""What fills the slots of an HTML report: passages, histories, pictures of tokens.

There may be a hundred thousand tokens in a report, so that these are written by plain functions;
all else is in the templates.
"""

from collections.abc import Sequence

from markupsafe import escape

from app.charts import Chart
from app.reports.fitting import Room
from app.reports.model import Report
from app.reports.parts import HistoryLine
from app.reports.shading import Run, Shaded, shade
from app.reports.text import visible
from app.reports.words import VERDICT_SIGNS, interval, number, quantity, scale_of

_CHOSEN = {"changed": "changed most", "strongest": "strongest on the baseline"}
_ELSEWHERE = "the JSON form of this report has all"


class Slots:
    """The contents of one report's slots; each is written once, whatever rooms are tried.

    Args:
        scatters: pictures of tokens by the feature's place in the report.
    """

    def __init__(self, report: Report, scatters: dict[int, Chart]) -> None:
        self._features = report.features
        self._scatters = scatters
        self._figures: dict[tuple[int, bool], list[str]] = {}
        self._rows: dict[int, list[str]] = {}

    def fill(self, kind: str, index: int, room: Room) -> str:
        """The content of a slot: `passages`, `history`, `scatter`, or `legend` of a room."""
        match kind:
            case "passages":
                return self._passages(index, room)
            case "history":
                return self._history(index, room)
            case "scatter":
                return self._scatter(index, room)
            case _:
                return "" if room.wide else _NARROW

    def _passages(self, index: int, room: Room) -> str:
        feature = self._features[index]
        if not feature.passages:
            why = feature.passages_missing
            return f"<p class=soft>No passages: {_text(why)}</p>\n" if why else ""
        key = (index, room.wide)
        if key not in self._figures:
            self._figures[key] = [_figure(p) for p in shade(feature.passages, not room.wide)]
        figures = self._figures[key]
        kept = figures[: room.passages]
        changed = feature.passages[0].kind == "changed"
        said = "Where it changed most" if changed else "Where it is strongest"
        parts = [f"<h4>{said}</h4>\n", *kept] if kept else []
        if len(kept) < len(figures):
            parts.append(
                f"<p class=soft>{len(kept)} of {len(figures)} passages; {_ELSEWHERE}.</p>\n"
            )
        return "".join(parts)

    def _history(self, index: int, room: Room) -> str:
        feature = self._features[index]
        if index not in self._rows:
            self._rows[index] = [_row(line) for line in feature.history]
        rows = self._rows[index]
        kept = rows[: room.history]
        parts = []
        if kept:
            parts.append(
                "<div class=wide tabindex=0 role=group "
                f'aria-label="History of {_text(feature.name)}"><table><caption>Earlier '
                "evaluations by this monitor, newest first, up to this one</caption><thead><tr>"
                "<th scope=col>checkpoint<th scope=col>against<th scope=col>verdict<th scope=col>"
                "effect<th scope=col>interval<th scope=col>margin<tbody>\n"
                f"{''.join(kept)}</table></div>\n"
            )
        if len(kept) < len(rows):
            parts.append(
                f"<p class=soft>{len(kept)} of {len(rows)} earlier evaluations; {_ELSEWHERE}.</p>\n"
            )
        return "".join(parts)

    def _scatter(self, index: int, room: Room) -> str:
        chart = self._scatters.get(index)
        if chart is None or index >= room.scatter:
            return ""
        return (
            "<h4>Before and after, token by token</h4>\n"
            f'<figure class=chart tabindex=0 role=group aria-label="{_text(chart.title)}">'
            f"{chart.svg}<figcaption>The tokens of the passages beneath, which were chosen for "
            "being extreme: how the two sides relate there, not how often they do. "
            f"{_text(chart.description)}</figcaption></figure>\n{_data(chart)}"
        )


_NARROW = (
    " The windows are narrow to keep this file small; the JSON form of this report has them whole."
)


def _data(chart: Chart) -> str:
    head = "".join(f"<th scope=col>{_text(name)}" for name in chart.columns)
    rows = "".join(f"<tr>{''.join(f'<td>{_cell(value)}' for value in row)}\n" for row in chart.rows)
    return (
        "<details><summary>The numbers of this picture</summary>"
        f'<div class=wide tabindex=0 role=group aria-label="Numbers: {_text(chart.title)}"><table>'
        f"<caption>{_text(chart.title)}</caption><thead><tr>{head}<tbody>\n{rows}</table></div>"
        "</details>\n"
    )


def _cell(value: str | int | float | None) -> str:
    return _text(value) if isinstance(value, str) else number(value)


def _text(text: str) -> str:
    return str(escape(visible(text)))


def _figure(passage: Shaded) -> str:
    return (
        f"<figure><figcaption>{_CHOSEN[passage.kind]} · document <bdi>{_text(passage.document)}"
        f"</bdi>, characters {passage.start} to {passage.end}</figcaption><div class=pair><div>"
        f"<b>before</b><p dir=auto>{_side(passage.before)}</p></div><div><b>after</b><p dir=auto>"
        f"{_side(passage.after)}</p></div></div></figure>\n"
    )


def _side(runs: Sequence[Run]) -> str:
    return "".join(map(_run, runs))


def _run(run: Run) -> str:
    # What a run says was made visible when it was cut from the passage.
    text = str(escape(run.text))
    if run.level == 0 and not run.peak:
        return text
    title = f' title="{run.value}"' if run.value else ""
    peak, number_ = (" k", f"<sup>{run.value}</sup>") if run.peak else ("", "")
    return f'<u class="{run.sign}{run.level}{peak}"{title}>{text}</u>{number_}'


def _row(line: HistoryLine) -> str:
    scale = scale_of(line.estimand or "")
    marks = (
        ", paged" * line.paged
        + ", slow drift" * line.slow_drift
        + ", defined otherwise then" * (not line.same_definition)
    )
    estimand = (line.estimand or "").replace("_", " ")
    return (
        f"<tr><th scope=row><bdi>{_text(line.checkpoint)}</bdi><td><bdi>{_text(line.baseline)}"
        f'</bdi><td class="v-{line.verdict}">{VERDICT_SIGNS[line.verdict]} {line.verdict}{marks}'
        f"<td>{_text(estimand)} {quantity(line.effect, scale)}<td>"
        f"{interval(line.lower, line.upper, scale)}<td>{quantity(line.margin, scale)}\n"
    )
