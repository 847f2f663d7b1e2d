"""The test report, read back by an independent parser."""

from xml.etree import ElementTree as ET

import pytest
from junitparser import Error, Failure, JUnitXml, Skipped, TestCase

from app.cli.check.evidence import Outcome
from app.cli.check.junit import render
from tests.unit.check.outcomes import control, outcome, reason, row

FAILS = [reason("fail", "drifted", "1 of 3 features have drifted", features=["phone"])]


def read(found: Outcome) -> dict[str, TestCase]:
    """Cases by name; the counts of every suite are checked on the way."""
    document = JUnitXml.fromstring(render(found))
    cases = {}
    for suite in document:
        inside = list(suite)
        assert suite.tests == len(inside)
        results = [result for case in inside for result in case.result]
        assert suite.failures == sum(isinstance(r, Failure) for r in results)
        assert suite.errors == sum(isinstance(r, Error) for r in results)
        assert suite.skipped == sum(isinstance(r, Skipped) for r in results)
        cases.update({case.name: case for case in inside})
    assert document.tests == len(cases)
    return cases


def kinds(found: Outcome) -> dict[str, type | None]:
    return {n: type(c.result[0]) if c.result else None for n, c in read(found).items()}


def test_a_case_for_each_watched_feature_and_each_control() -> None:
    rows = [row("phone", "drifted"), row("mail", "stable"), row("name", "stable")]
    controls = [control("no_op", True), control("numerics", None)]
    found = outcome("fail", rows, FAILS, controls)

    assert kinds(found) == {
        "bot v2": Failure,
        "phone": Failure,
        "mail": None,
        "name": None,
        "no_op": None,
        "numerics": Skipped,
    }
    case = read(found)["phone"]
    assert case.classname == "featuredrift.bot.watch.features"
    assert case.result[0].type == "drifted"
    assert "identity 0.41 [0.28, 0.54], margin 0.2" in case.result[0].message
    assert "diagnosis: rotated" in case.result[0].message
    _, suite = JUnitXml.fromstring(render(found))
    properties = {p.name: p.value for p in suite.properties()}
    assert (suite.name, suite.time, properties["baseline"]) == ("watch", 40.5, "v1")
    assert properties["link.evaluation"].startswith("https://drift.example/evaluations/")


def test_a_pass_has_neither_failure_nor_error_whatever_the_policy_lets_through() -> None:
    rows = [row("phone", "drifted"), row("mail", "insufficient"), row("name", "stable")]
    found = kinds(outcome("pass", rows, controls=[control("randomised_model", False)]))
    assert set(found.values()) == {None, Skipped}
    assert (found["phone"], found["mail"], found["name"]) == (Skipped, Skipped, None)


@pytest.mark.parametrize(
    ("found", "broken"),
    [
        (
            outcome("inconclusive", [row("a", "untrusted")], [reason("inconclusive", "unproven")]),
            "a",
        ),
        (
            outcome(
                "inconclusive",
                [row("a", "stable", slow_drift=True), row("b", "stable")],
                [reason("inconclusive", "slow_drift")],
            ),
            "a",
        ),
        (
            outcome(
                "inconclusive",
                [row("a", "stable"), row("b", "stable")],
                [reason("inconclusive", "benign_floor")],
                held_by_benign=["a"],
            ),
            "a",
        ),
        (
            outcome(
                "inconclusive",
                [row("b", "stable")],
                [reason("inconclusive", "control_failed")],
                [control("no_op", False)],
            ),
            "no_op",
        ),
        (
            outcome(
                "inconclusive",
                [],
                [reason("inconclusive", "evaluation_failed", "no such file")],
                state="failed",
            ),
            "evaluation",
        ),
        (outcome("pending", [], [reason("pending", "evaluation_open")]), "evaluation"),
    ],
)
def test_what_is_not_decided_is_an_error_and_no_failure(found: Outcome, broken: str) -> None:
    assert {name for name, kind in kinds(found).items() if kind} == {"bot v2", broken}
    assert set(kinds(found).values()) <= {Error, None}


def test_without_an_answer_there_is_one_error() -> None:
    (case,) = read(Outcome("error", "bot", "v2", "", trouble="no API")).values()
    assert isinstance(case.result[0], Error)
    assert case.result[0].message == "no API"


def test_no_text_breaks_the_document() -> None:
    nasty = "a]]><x y='1'>&\x00\x1b[31m\ud800\ufffe \"q\" \U0001f600"
    rows = [row(nasty, "drifted", reason=nasty)]
    found = outcome(
        "fail", rows, [reason("fail", "drifted", nasty)], [control("no_op", None, nasty)]
    )
    document = ET.fromstring(render(found))  # noqa: S314 - our own
    names = [case.get("name") for case in document.iter("testcase")]
    assert any(n is not None and n.startswith("a]]><x y='1'>&\ufffd\ufffd[31m") for n in names)
    assert len(names) == 3
