"""The answer as a comment on a pull or merge request: short, with the details folded away.

Names and reasons come from people, paths and libraries. Nothing in them may become markup, a link,
a mention or a reference: they are written as character references, which no parser takes for
punctuation, and the marks that the platforms look for in the finished text are parted from the
word that follows by a zero-width space.
"""

import re
from collections.abc import Iterator
from typing import Any

from app.cli.check.evidence import Evidence, Outcome, pages
from app.cli.check.words import against, counts, measured, named, plural, repaired

MARKER = "<!-- featuredrift-gate -->"
"""First line of every comment: a pipeline finds its own by it and edits it."""

LIMIT = 60_000
"""Characters. GitHub takes 65,536, GitLab 1,000,000."""

SHOWN = 20
_SIGNS = {"pass": "✅", "fail": "❌", "inconclusive": "⚠️", "pending": "⏳", "error": "🛑"}
_PARTING = "\u200b"
_PLAIN = re.compile(r"[A-Za-z0-9 ,;]|[^\x00-\x7f]")
_CALLS = re.compile(r"[@#!~%$&^:\[](?=\S)|(?<=www)\.", re.IGNORECASE)
"""What begins or joins a mention, an issue, an emoji, a label or a bare link on some platform."""

_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
"""Line ends, controls, and what hides or turns text round."""


def render(outcome: Outcome) -> bytes:
    """The comment, UTF-8, below the size that the platforms take."""
    for shown in (SHOWN, 5, 0):
        text = "\n".join(_lines(outcome, shown)) + "\n"
        if len(text) <= LIMIT:
            break
    else:
        text = "\n".join((*_head(outcome), "", "Too long for a comment.")) + "\n"
    return text.encode()


def escape(text: Any, limit: int = 600) -> str:
    """A text that is shown as it is and means nothing, on one line.

    Args:
        limit: what is longer is cut, with an ellipsis.
    """
    plain = " ".join(_UNSEEN.sub(" ", str(text)).split())
    if len(plain) > limit:
        plain = plain[: limit - 1] + "…"
    parted = _CALLS.sub(lambda found: found.group() + _PARTING, plain)
    return "".join(c if _PLAIN.match(c) and c != _PARTING else f"&#{ord(c)};" for c in parted)


def _head(outcome: Outcome) -> Iterator[str]:
    yield MARKER
    sign = _SIGNS.get(outcome.gate, "")
    who = f"{escape(outcome.model, 128)} {escape(outcome.checkpoint, 128)}"
    yield f"### {sign} Featuredrift: {escape(outcome.gate)} for {who}"


def _lines(outcome: Outcome, shown: int) -> Iterator[str]:
    yield from _head(outcome)
    yield ""
    if outcome.gate == "error":
        yield f"The gate could not be asked: {escape(outcome.trouble)}"
        return
    for reason in outcome.general:
        yield f"- {escape(reason['detail'])}"
    for one in outcome.monitors:
        said = f"{against(one)}: {counts(one)}".removeprefix(": ")
        yield f"- **{escape(one.monitor)}** {escape(said)}"
        yield from (f"  - {escape(r['detail'] + named(r), 1000)}" for r in one.reasons)
    if outcome.trouble:
        yield f"- {escape(outcome.trouble)}"
    for one in outcome.monitors:
        yield from _details(outcome, one, shown)


def _details(outcome: Outcome, one: Evidence, shown: int) -> Iterator[str]:
    if one.evaluation is None:
        return
    found = pages(outcome, one)
    said = plural(len(one.drifted), "drifted feature")
    if one.repairs:
        said += f", {plural(len(one.repairs), 'proposed repair')}"
    yield ""
    yield f"<details><summary>{escape(one.monitor)}: {said}</summary>"
    yield ""
    if one.drifted[:shown]:
        yield "| feature | effect, interval, margin | diagnosis |"
        yield "|---|---|---|"
        for row in one.drifted[:shown]:
            cells = (row["feature"], measured(row), row["diagnosis"] or "none")
            yield f"| {' | '.join(escape(cell) for cell in cells)} |"
        yield ""
    if len(one.drifted) > shown:
        yield f"and {len(one.drifted) - shown} more"
        yield ""
    for repair in one.repairs[:shown]:
        link = outcome.link(f"/repairs/{repair['id']}")
        yield f"- repair proposed: {escape(repaired(repair))} ({_link('read it', link)})"
    for control in one.controls:
        if control["passed"] is False:
            yield f"- control {escape(control['control'])}: {escape(control['detail'])}"
    for note in one.standing["notes"][:shown]:
        yield f"- {escape(note)}"
    yield f"- {_link('evaluation', found['evaluation'])}"
    if "report" in found:
        yield f"- {_link('report', found['report'])}"
    if "drifted" in found:
        yield f"- {_link('all drifted features', found['drifted'])}"
    yield ""
    yield "</details>"


def _link(text: str, url: str) -> str:
    """A link, where the URL is a web address without anything that could end it; else the text."""
    if re.fullmatch(r"https?://[A-Za-z0-9._~:/?=&%\[\]-]+", url):
        return f"[{text}](<{url}>)"
    return f"{text}: {escape(url)}"
