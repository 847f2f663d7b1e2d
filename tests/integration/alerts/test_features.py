"""A watched feature's alert: opened once, followed over checkpoints, resolved only by proof."""

from typing import Any

import pytest

from tests.integration.alerts.conftest import Line, control, paged
from tests.support.api import verdict


def test_a_page_opens_one_alert_that_says_what_since_when_and_against_what(line: Line) -> None:
    evaluation = line.register("c1")
    told = line.succeed(evaluation, paged(), verdict("up", "stable"), verdict("both", "drifted"))
    assert told == [("alert.opened", "number")], "of features beyond the watchlist nobody is told"
    alert = line.alert()
    assert (alert.subject_kind, alert.condition, alert.severity) == ("feature", "drifted", "page")
    assert (alert.state, alert.occurrences) == ("open", 1)
    assert alert.first_evaluation_id == alert.last_evaluation_id == evaluation
    assert alert.detail == (
        "Feature 'number' has drifted in checkpoint 'c1' of model 'bot' against 'base': identity "
        "is 0.41, 2.05 times the margin of 0.2 (interval 0.35 to 0.47); diagnosis rotated: it is "
        "still there, in another direction of the activations."
    )
    assert alert.evidence["effect"] == 0.41
    assert alert.evidence["since"] == {"evaluation": str(evaluation), "checkpoint": "c1"}
    assert alert.evidence["diagnosis_reason"] == "an orthogonal map brings it back"
    assert line.events() == ["alert.opened"]


@pytest.mark.parametrize(
    ("row", "condition", "severity"),
    [
        (verdict("number", "drifted"), "drifted", "warning"),
        (verdict("number", "inconclusive", slow_drift=True), "slow_drift", "warning"),
        (verdict("number", "stable", slow_drift=True), "slow_drift", "warning"),
        (verdict("number", "untrusted"), "untrusted", "warning"),
        (verdict("number", "untrusted", paged=True), "untrusted", "warning"),
        (verdict("number", "inconclusive", paged=True), "drifted", "page"),
    ],
)
def test_what_opens_an_alert(
    line: Line, row: dict[str, Any], condition: str, severity: str
) -> None:
    line.judge("c1", row, verdict("up", "stable"))
    alert = line.alert()
    assert (alert.condition, alert.severity) == (condition, severity)


@pytest.mark.parametrize("word", ["stable", "inconclusive", "insufficient", "invalid"])
def test_what_opens_none(line: Line, word: str) -> None:
    assert line.judge("c1", verdict("number", word), verdict("up", "stable")) == []
    assert line.alerts() == []


def test_over_checkpoints_it_stays_one_alert(line: Line) -> None:
    line.judge("c1", paged())
    assert line.judge("c2", paged(effect=0.5)) == [("alert.updated", "number")]
    assert line.judge("c3", paged(effect=0.6)) == [("alert.updated", "number")]
    alert = line.alert()
    assert alert.occurrences == 3
    assert alert.evidence["effect"] == 0.6
    assert alert.evidence["since"]["checkpoint"] == "c1"
    assert alert.detail.startswith("Feature 'number' has drifted in checkpoint 'c3' of model 'bot'")
    assert alert.detail.endswith("(since checkpoint 'c1').")


def test_stable_resolves_it_and_a_later_drift_is_a_new_alert(line: Line) -> None:
    line.judge("c1", paged())
    assert line.judge("c2", verdict("number", "stable")) == [("alert.resolved", "number")]
    resolved = line.alert()
    assert (resolved.state, resolved.resolved_at is not None) == ("resolved", True)
    assert "is shown to be stable in checkpoint 'c2'" in resolved.detail
    assert resolved.evidence["effect"] == 0.41, "what raised it is still there"
    assert resolved.evidence["latest"]["verdict"] == "stable"
    assert line.judge("c3", paged()) == [("alert.opened", "number")]
    assert [alert.state for alert in line.alerts()] == ["resolved", "open"]


@pytest.mark.parametrize("word", ["inconclusive", "insufficient", "invalid", "untrusted"])
def test_what_shows_nothing_leaves_it_open_and_says_so(line: Line, word: str) -> None:
    line.judge("c1", paged(), verdict("up", "stable"))
    undecided = verdict("number", word, reason="the interval reaches beyond the margin.")
    assert line.judge("c2", undecided, verdict("up", "stable")) == [("alert.updated", "number")]
    alert = line.alert()
    assert (alert.condition, alert.severity, alert.state) == ("drifted", "page", "open")
    assert alert.occurrences == 1
    assert "'c2'" in alert.detail
    assert "the interval reaches beyond the margin; that settles nothing" in alert.detail
    assert (alert.evidence["effect"], alert.evidence["latest"]["verdict"]) == (0.41, word)


def test_acknowledged_it_stays_so_while_it_lasts(line: Line) -> None:
    line.judge("c1", paged())
    line.acknowledge(line.alert())
    line.judge("c2", verdict("number", "drifted"))
    line.judge("c3", verdict("number", "inconclusive"))
    line.judge("c4", paged())
    alert = line.alert()
    assert (alert.state, alert.acknowledged_by) == ("acknowledged", "ada")
    assert alert.severity == "page", "paged on at every other checkpoint, it wakes nobody twice"
    assert line.events() == [
        "alert.opened",
        "alert.acknowledged",
        *["alert.updated"] * 3,
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (verdict("number", "drifted"), paged()),
        (verdict("number", "untrusted"), verdict("number", "drifted")),
        (verdict("number", "stable", slow_drift=True), verdict("number", "drifted")),
    ],
)
def test_what_is_worse_than_was_acknowledged_opens_it_again(
    line: Line, before: dict[str, Any], after: dict[str, Any]
) -> None:
    line.judge("c1", before)
    line.acknowledge(line.alert(), note="known")
    assert line.judge("c2", after) == [("alert.opened", "number")]
    alert = line.alert()
    assert (alert.state, alert.acknowledged_by, alert.note) == ("open", None, None)
    assert alert.occurrences == 2


def test_a_warning_that_becomes_a_page_is_told_as_one_that_opens(line: Line) -> None:
    line.judge("c1", verdict("number", "drifted"))
    assert line.judge("c2", paged()) == [("alert.opened", "number")]
    assert line.judge("c3", paged()) == [("alert.updated", "number")]
    alert = line.alert()
    assert (alert.severity, alert.state, alert.occurrences) == ("page", "open", 3)


def test_after_proof_of_stability_a_slow_drift_is_milder_and_a_page_is_worse(line: Line) -> None:
    line.judge("c1", paged())
    line.acknowledge(line.alert())
    line.judge("c2", verdict("number", "stable", slow_drift=True))
    alert = line.alert()
    assert (alert.condition, alert.severity, alert.state) == (
        "slow_drift",
        "warning",
        "acknowledged",
    )
    line.judge("c3", paged())
    assert line.alert().state == "open"


def test_leaving_the_watchlist_resolves_it_at_once(line: Line) -> None:
    line.judge("c1", paged(), paged("up"))
    line.change_monitor(watchlist=["up"])
    number, up = (line.alert(subject=name) for name in ("number", "up"))
    assert (number.state, up.state) == ("resolved", "open")
    assert "it has left the monitor's watchlist" in number.detail
    line.change_monitor(description="nothing about features")
    assert line.events().count("alert.resolved") == 1


def test_disabling_the_monitor_resolves_all_and_what_ends_later_says_nothing(line: Line) -> None:
    running = line.register("c1")
    line.judge("c2", paged(), controls=[control("numerics", False)])
    line.change_monitor(enabled=False)
    assert {alert.state for alert in line.alerts()} == {"resolved"}
    assert line.succeed(running, paged()) == []
    assert len(line.alerts()) == 2
