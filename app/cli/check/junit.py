"""The answer as JUnit XML: one suite a monitor, one case a watched feature and a control.

There is no one schema; what is written here is the part that Ant, Jenkins, GitLab and GitHub's
reporters share: `testsuites`, `testsuite`, `testcase`, `failure`, `error`, `skipped`,
`system-out`. A file holds a `failure` or an `error` exactly where the gate does not pass: what the
policy lets through is `skipped`, with the reason.
"""

import re
from datetime import datetime
from typing import Any
from xml.etree import ElementTree as ET

from app.cli.check.evidence import Evidence, Outcome, pages
from app.cli.check.words import measured, named

_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, escaped or not."""

_UNPROVEN = ("inconclusive", "insufficient", "untrusted", "invalid")


def render(outcome: Outcome) -> bytes:
    """The document, UTF-8."""
    root = ET.Element("testsuites", name=_text(f"featuredrift {outcome.model}"))
    _add_gate(root, outcome)
    for one in outcome.monitors:
        _add_monitor(root, outcome, one)
    for element in (root, *root):
        cases = element.findall(".//testcase")
        element.set("tests", str(len(cases)))
        for kind, attribute in (("failure", "failures"), ("error", "errors")):
            element.set(attribute, str(sum(case.find(kind) is not None for case in cases)))
        if element is not root:
            element.set("skipped", str(sum(case.find("skipped") is not None for case in cases)))
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _add_gate(root: ET.Element, outcome: Outcome) -> None:
    """The answer itself, so that a report says it even where there is no feature to speak of."""
    suite = ET.SubElement(root, "testsuite", name="gate")
    case = _case(suite, outcome, "gate", f"{outcome.model} {outcome.checkpoint}")
    reasons = outcome.answer.get("reasons", ())
    text = "\n".join(f"{r['monitor'] or 'gate'}: {r['detail']}{named(r)}" for r in reasons)
    if outcome.gate == "error":
        _result(case, "error", "error", outcome.trouble)
    elif outcome.gate == "fail":
        _result(case, "failure", "fail", "the gate fails", text)
    elif outcome.gate != "pass":
        _result(case, "error", outcome.gate, f"the gate is {outcome.gate}", text)


def _add_monitor(root: ET.Element, outcome: Outcome, one: Evidence) -> None:
    suite = ET.SubElement(root, "testsuite", name=_text(one.monitor))
    if one.started_at is not None and one.finished_at is not None:
        start, end = (datetime.fromisoformat(at) for at in (one.started_at, one.finished_at))
        suite.set("timestamp", start.isoformat(timespec="seconds"))
        suite.set("time", f"{max(0.0, (end - start).total_seconds()):.3f}")
    properties = ET.SubElement(suite, "properties")
    known = {
        "model": outcome.model,
        "checkpoint": outcome.checkpoint,
        "baseline": one.standing["baseline"] or "",
        "evaluation": one.evaluation or "",
        **{f"link.{name}": link for name, link in pages(outcome, one).items()},
    }
    for name, value in known.items():
        ET.SubElement(properties, "property", name=name, value=_text(value))
    if not one.watched and not one.controls:
        case = _case(suite, outcome, one.monitor, "evaluation")
        for reason in one.reasons[:1]:
            kind = "failure" if reason["outcome"] == "fail" else "error"
            _result(case, kind, reason["code"], reason["detail"])
    for row in one.watched:
        _judge(_case(suite, outcome, f"{one.monitor}.features", row["feature"]), row, one)
    for control in one.controls:
        case = _case(suite, outcome, f"{one.monitor}.controls", control["control"])
        if control["passed"] is None:
            _result(case, "skipped", "cannot_be_told", control["detail"])
        elif not control["passed"]:
            blocks = "control_failed" in one.codes
            _result(case, "error" if blocks else "skipped", "control_failed", control["detail"])


def _judge(case: ET.Element, row: dict[str, Any], one: Evidence) -> None:
    word, detail = row["verdict"], f"{row['reason']} ({measured(row)})"
    if row["diagnosis"]:
        detail += f"; diagnosis: {row['diagnosis']}"
    allowed = f"{word}, which the policy lets pass: "
    if word == "drifted":
        if "drifted" in one.codes:
            _result(case, "failure", word, detail)
        else:
            _result(case, "skipped", word, allowed + detail)
    elif word in _UNPROVEN:
        if one.codes & {"unproven", "control_failed"}:
            _result(case, "error", word, detail)
        else:
            _result(case, "skipped", word, allowed + detail)
    elif row["slow_drift"] and "slow_drift" in one.codes:
        _result(case, "error", "slow_drift", f"it drifts slowly: {detail}")
    elif "benign_floor" in one.codes and row["feature"] in one.standing["held_by_benign"]:
        _result(case, "error", "benign_floor", f"stable only by a benign mark: {detail}")
    else:
        ET.SubElement(case, "system-out").text = _text(detail)


def _case(suite: ET.Element, outcome: Outcome, group: str, name: str) -> ET.Element:
    classname = _text(f"featuredrift.{outcome.model}.{group}")
    return ET.SubElement(suite, "testcase", classname=classname, name=_text(name), time="0")


def _result(case: ET.Element, kind: str, word: str, message: str, text: str = "") -> None:
    found = ET.SubElement(case, kind, message=_text(message))
    if kind != "skipped":
        found.set("type", _text(word))
    found.text = _text(text or message)


def _text(text: str) -> str:
    return _NO_XML.sub("\ufffd", str(text))
