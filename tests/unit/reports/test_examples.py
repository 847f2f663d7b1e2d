"""The committed examples: fresh, true to the demo's own expectations, and small enough."""

import json
import shutil
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from app.reports.json import json_schema
from app.reports.model import Report
from tools.examples.kinds import KINDS, Kind
from tools.examples.rendering import FOLDER, report_of, stale
from workers.demo.line import LINE, Outcome

DEMO = [kind for kind in KINDS if kind.features is None]


def outcome_of(report: Report) -> Outcome:
    """A report as the demo looks at an evaluation."""
    verdicts = {
        feature.name: {
            "verdict": feature.verdict,
            "diagnosis": feature.diagnosis.label if feature.diagnosis else None,
            "effect": feature.lead.effect if feature.lead else None,
            "concept_auroc_candidate": feature.behaviour.concept_auroc_candidate,
        }
        for feature in report.features
    }
    return Outcome(
        gate=report.headline.outcome, state=report.subject.state, error=None, verdicts=verdicts
    )


def test_they_are_what_todays_code_writes() -> None:
    assert stale() == []


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_they_keep_to_the_schema_and_show_what_they_are_for(kind: Kind) -> None:
    Draft202012Validator(json_schema()).validate(
        json.loads((FOLDER / f"{kind.name}.json").read_text())
    )
    report = report_of(kind.name)
    assert report.headline.outcome == kind.outcome
    assert kind.verdict in {feature.verdict for feature in report.features}
    assert report.subject.checkpoint == kind.checkpoint


@pytest.mark.parametrize("kind", DEMO, ids=lambda kind: kind.name)
def test_they_are_as_the_demo_expects_of_that_checkpoint(kind: Kind) -> None:
    checkpoint = next(one for one in LINE if one.name == kind.checkpoint)
    assert checkpoint.mismatches(outcome_of(report_of(kind.name))) == []


def test_no_path_of_the_machine_that_made_them_is_in_them() -> None:
    for kind in KINDS:
        text = (FOLDER / f"{kind.name}.json").read_text()
        assert not any(f"{root}/" in text for root in ("/home", "/root", "/tmp", "/Users"))  # noqa: S108


def test_what_is_stale_is_named_with_what_to_do(tmp_path: Path) -> None:
    folder = tmp_path / "examples"
    shutil.copytree(FOLDER, folder)
    (folder / "stable.html").write_text("<!doctype html>")
    (folder / "left-over.md").write_text("of a kind that is no more")
    lines = stale(folder)
    assert [line.split()[0] for line in lines] == [
        "docs/examples/stable.html",
        "docs/examples/left-over.md",
    ]
    assert "python -m tools.examples --render" in lines[0]
    (folder / "drifted.json").write_text('{"schema_version": "0"}')
    (line,) = stale(folder)
    assert "make examples" in line
