"""A report as one self-contained HTML file: no script, no request, nothing but its own style."""

import base64
import hashlib
import json
from functools import lru_cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from app.charts import stylesheet
from app.reports import pictures, words
from app.reports.fitting import LIMIT, Frame, fit, slot
from app.reports.model import Report
from app.reports.slots import Slots
from app.reports.text import visible

__all__ = ["LIMIT", "content_security_policy", "render_html"]

_OUTCOMES = {"pass": "●", "fail": "▲", "inconclusive": "◐", "pending": "○"}
_CONTROLS = {
    "held": "● held",
    "failed": "✖ failed",
    "not_told": "○ not told",
    "left_out": "– left out",
}


def render_html(report: Report) -> bytes:
    """The file, UTF-8, of at most `LIMIT` bytes; the same report gives the same bytes."""
    charts = pictures.draw(report)
    places = {feature.name: i for i, feature in enumerate(report.features)}

    glossary = words.glossary(
        (line.estimand for feature in report.features for line in feature.estimates),
        (feature.verdict for feature in report.features),
    )

    def frame(size: Frame) -> str:
        template = _templates(size.text).get_template("report.html.j2")
        return template.render(
            report=report,
            features={feature.name: feature for feature in report.features},
            place=places,
            charts=charts,
            frame=size,
            glossary=glossary,
            policy=content_security_policy(),
            style=Markup(_style()),  # noqa: S704 - our own files
        )

    return fit(frame, Slots(report, charts.scatters).fill)


def content_security_policy() -> str:
    """What a browser may load for the file: its own style, by digest, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


@lru_cache(maxsize=1)
def _style() -> str:
    source, _, _ = PackageLoader("app.reports").get_source(
        Environment(autoescape=True), "report.css"
    )
    return source + stylesheet()


@lru_cache(maxsize=8)
def _templates(longest: int) -> Environment:
    """Templates in which no text is longer than that many characters, but for commands."""

    def shown(value: Any) -> Any:
        # What hides or turns text is named, not obeyed.
        if value is None:
            return ""
        if isinstance(value, str) and not isinstance(value, Markup):
            # Cut twice: a long text is not made longer first.
            return words.cut(visible(words.cut(value, longest)), longest)
        return value

    environment = Environment(
        loader=PackageLoader("app.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=shown,
    )
    environment.globals.update(
        verdict_sign=words.VERDICT_SIGNS,
        outcome_sign=_OUTCOMES,
        control_word=_CONTROLS,
        quantity=words.quantity,
        interval=words.interval,
        count=words.count,
        scale_of=words.scale_of,
        slot=lambda name, index: Markup(slot(name, index)),  # noqa: S704 - a number and our word
    )
    environment.filters.update(
        number=words.number,
        percent=words.percent,
        probability=words.probability,
        plain=lambda word: str(word).replace("_", " "),
        whole=lambda text: Markup("{}").format(visible(text)),
        drawing=lambda chart: Markup(chart.svg),  # noqa: S704 - drawn by ours
        tojson_plain=lambda value: json.dumps(value, sort_keys=True, ensure_ascii=False),
    )
    environment.tests["told"] = lambda value: value is not None
    return environment
