"""A report as one self-contained HTML file: no script, no request, nothing but its own style."""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from app.charts import Chart, stylesheet
from app.reports import pictures, words
from app.reports.model import Report
from app.reports.shading import shade
from app.reports.text import visible

LIMIT = 1_500_000
"""Bytes. What does not fit is left out: passages and older history, of all features alike."""


@dataclass(frozen=True)
class Room:
    """How much of each feature is shown; the JSON form always has everything."""

    passages: int
    history: int
    compact: bool = True
    """Narrow windows, without the single tokens' numbers."""


_ROOMS = (
    Room(100, 100, compact=False),
    Room(4, 12, compact=False),
    *(Room(4, 12), Room(3, 6), Room(2, 3), Room(1, 2), Room(0, 1)),
)
"""Tried in turn until the file is small enough."""

_VERDICTS = {
    "drifted": "▲",
    "stable": "●",
    "inconclusive": "◐",
    "insufficient": "○",
    "untrusted": "✖",
    "invalid": "■",
}
_OUTCOMES = {"pass": "●", "fail": "▲", "inconclusive": "◐", "pending": "○"}
_CONTROLS = {
    "held": "● held",
    "failed": "✖ failed",
    "not_told": "○ not told",
    "left_out": "– left out",
}


def render_html(report: Report) -> bytes:
    """The file, UTF-8; the same report gives the same bytes."""
    charts = {
        "effects": pictures.effects(report.features),
        "checkpoints": pictures.checkpoints(report),
    }
    page = b""
    for room in _ROOMS:
        page = _render(report, charts, room)
        if len(page) <= LIMIT:
            break
    return page


def content_security_policy() -> str:
    """What a browser may load for the file: its own style, by digest, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _render(report: Report, charts: Mapping[str, Chart | None], room: Room) -> bytes:
    text = (
        _templates()
        .get_template("report.html.j2")
        .render(
            report=report,
            features={feature.name: feature for feature in report.features},
            charts=charts,
            room=room,
            policy=content_security_policy(),
            style=Markup(_style()),  # noqa: S704 - our own files
        )
    )
    return text.encode()


@lru_cache(maxsize=1)
def _style() -> str:
    source, _, _ = PackageLoader("app.reports").get_source(
        Environment(autoescape=True), "report.css"
    )
    return source + stylesheet()


@lru_cache(maxsize=1)
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("app.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.globals.update(
        verdict_sign=_VERDICTS,
        outcome_sign=_OUTCOMES,
        control_word=_CONTROLS,
        meanings=words.ESTIMANDS,
    )
    environment.filters.update(
        number=words.number,
        percent=words.percent,
        probability=words.probability,
        plain=lambda word: str(word).replace("_", " "),
        tojson_plain=lambda value: json.dumps(value, sort_keys=True, ensure_ascii=False),
    )
    environment.tests["told"] = lambda value: value is not None
    environment.globals["quantity"] = words.quantity
    environment.globals["interval"] = words.interval
    environment.filters["drawing"] = lambda chart: Markup(chart.svg)  # noqa: S704 - drawn by ours
    environment.globals["shade"] = shade
    environment.globals["count"] = words.count
    environment.globals["scale_of"] = words.scale_of
    return environment


def _shown(value: Any) -> Any:
    """Every value on its way into the page: what hides or turns text is named, not obeyed."""
    if value is None:
        return ""
    if isinstance(value, str) and not isinstance(value, Markup):
        return visible(value)
    return value
