"""Alerts on evaluations, controls and dictionaries."""

from typing import Any
from uuid import UUID

from app.evaluations import ledger
from app.verdicts.tables import DOES_NOT_APPLY
from tests.integration.alerts.conftest import Line, control, paged
from tests.support.api import monitor_body, post, register_checkpoint, verdict

STALE: dict[str, Any] = {
    "diagnosis": "dictionary_stale",
    "diagnosis_evidence": {"reason": "Dictionary 'layer-1' has left its gate, FVU 0.9."},
}


def test_a_failed_evaluation_opens_one_alert_and_a_good_one_resolves_it(line: Line) -> None:
    line.judge("c1", paged())
    before = line.alert()
    line.fail(line.register("c2"))
    line.fail(line.register("c3"), "the worker ran out of memory.")
    alert = line.alert(subject_kind="evaluation")
    assert (alert.subject, alert.condition, alert.severity) == ("", "failed", "warning")
    assert alert.occurrences == 2
    assert alert.detail == (
        "The evaluation of checkpoint 'c3' of model 'bot' failed: the worker ran out of memory "
        "(since checkpoint 'c2')."
    )
    assert line.alert(subject_kind="feature").updated_at == before.updated_at
    line.judge("c4", verdict("number", "inconclusive"))
    assert line.alert(subject_kind="evaluation").state == "resolved"
    assert line.alert(subject_kind="feature").state == "open"


def test_evaluations_of_several_monitors_that_fail_together_have_an_alert_each(
    line: Line,
) -> None:
    post(line.client, "/v1/monitors", monitor_body(name="second"))
    found = register_checkpoint(line.client, line.settings, "c1")["evaluations"]
    with line.database.unit_of_work() as session:
        ended = [UUID(one) for one in found]
        for one in ended:
            ledger.lock_evaluation(session, one)
        error = ledger.failure("unreadable", "no such file")
        ledger.end_evaluations(session, ended, state="failed", error=error)
    items = line.client.get("/v1/alerts").json()["items"]
    assert {item["monitor"] for item in items} == {"watch", "second"}
    assert {item["evidence"]["evaluation"] for item in items} == set(found)
    assert line.events() == ["alert.opened"] * 2


def test_a_retried_evaluation_resolves_the_alert_on_its_own_failure(line: Line) -> None:
    evaluation = line.register("c1")
    line.fail(evaluation)
    line.fail(evaluation)
    assert line.alert().occurrences == 1
    assert line.client.post(f"/v1/evaluations/{evaluation}:retry").status_code == 202
    assert line.alert().state == "open", "until it is known to be better"
    assert line.succeed(evaluation, paged()) == [
        ("alert.resolved", ""),
        ("alert.opened", "number"),
    ]


def test_an_older_success_does_not_end_a_newer_failure_that_is_tried_again(line: Line) -> None:
    older, newer = line.register("c1"), line.register("c2")
    line.fail(newer)
    line.client.post(f"/v1/evaluations/{newer}:retry")
    assert line.succeed(older, verdict("number", "stable")) == []
    assert line.alert(subject_kind="evaluation").state == "open"


def test_an_invalid_evaluation_opens_its_own_alert_and_leaves_feature_alerts_alone(
    line: Line,
) -> None:
    line.judge("c1", paged())
    before = line.alert()
    summary = {"comparisons": {"baseline": {"invalid_reason": "The tokenizers differ."}}}
    rows = [verdict(name, "invalid") for name in ("number", "up", "both")]
    assert line.judge("c2", *rows, summary=summary) == [("alert.opened", "")]
    alert = line.alert(subject_kind="evaluation")
    assert alert.evidence["outcome"] == "invalid"
    assert alert.detail == (
        "The evaluation of checkpoint 'c2' of model 'bot' against 'base' is invalid, so that it "
        "says nothing of any feature: The tokenizers differ."
    )
    after = line.alert(subject_kind="feature")
    assert (after.updated_at, after.detail) == (before.updated_at, before.detail)
    assert line.judge("c3", verdict("number", "stable"))[:1] == [("alert.resolved", "")]


def test_a_late_valid_evaluation_still_speaks_for_features_after_a_newer_invalid_one(
    line: Line,
) -> None:
    older, newer = line.register("c1"), line.register("c2")
    line.succeed(newer, verdict("number", "invalid"))
    assert line.succeed(older, paged()) == [("alert.opened", "number")]


def test_a_failed_control_opens_one_alert_that_names_the_features(line: Line) -> None:
    failed = {"random_features": {"passed": False, "detail": "no better", "figures": {}}}
    told = line.judge(
        "c1",
        verdict("number", "untrusted", controls=failed),
        verdict("up", "stable"),
        controls=[
            control("no_op", True),
            control("numerics", None),
            control("random_features", False, "1 feature is no better than random ones."),
        ],
    )
    assert told == [("alert.opened", "random_features"), ("alert.opened", "number")]
    alert = line.alert(subject_kind="control")
    assert (alert.condition, alert.severity) == ("failed", "warning")
    assert alert.evidence["features"] == ["number"]
    assert alert.detail == (
        "Control 'random_features' failed in checkpoint 'c1' of model 'bot' against 'base': 1 "
        "feature is no better than random ones."
    )
    line.judge("c2", verdict("up", "stable"), controls=[control("random_features", None)])
    assert line.alert(subject_kind="control").state == "open"
    line.judge("c3", verdict("up", "stable"), controls=[control("random_features", True)])
    assert line.alert(subject_kind="control").state == "resolved"
    assert line.alert(subject_kind="feature").state == "open"


def test_a_control_that_the_policy_leaves_out_is_no_longer_followed(line: Line) -> None:
    line.judge("c1", verdict("up", "stable"), controls=[control("numerics", False)])
    line.judge("c2", verdict("up", "stable"))
    assert line.alert().state == "open", "that it did not run shows nothing"
    line.change_monitor(policy={"controls": {"numerics": False}})
    line.judge("c3", verdict("up", "stable"))
    assert line.alert().state == "resolved"


def test_a_control_that_no_longer_applies_is_no_longer_followed(line: Line) -> None:
    line.judge("c1", verdict("up", "stable"), controls=[control("random_features", False)])
    line.judge("c2", verdict("up", "stable"), controls=[control("random_features", None)])
    assert line.alert().state == "open", "that it cannot be told shows nothing"
    nothing = control("random_features", None, "It does not apply: no watched feature claims one.")
    line.judge("c3", verdict("up", "stable"), controls=[{**nothing, "figures": DOES_NOT_APPLY}])
    alert = line.alert()
    assert alert.state == "resolved"
    assert alert.detail == (
        "Control 'random_features' has nothing to judge in checkpoint 'c3' of model 'bot' against "
        "'base': It does not apply: no watched feature claims one."
    )


def test_a_failed_no_op_control_makes_the_evaluation_invalid(line: Line) -> None:
    told = line.judge("c1", verdict("number", "invalid"), controls=[control("no_op", False)])
    assert told == [("alert.opened", ""), ("alert.opened", "no_op")]


def test_a_stale_dictionary_is_alerted_on_until_what_showed_it_is_explained(line: Line) -> None:
    told = line.judge("c1", verdict("number", "drifted", **STALE), verdict("up", "stable"))
    assert told == [("alert.opened", "layer-1"), ("alert.opened", "number")]
    alert = line.alert(subject_kind="dictionary")
    assert (alert.condition, alert.severity) == ("stale", "warning")
    assert alert.detail == (
        "Dictionary 'layer-1' is stale in checkpoint 'c1' of model 'bot' against 'base': "
        "Dictionary 'layer-1' has left its gate, FVU 0.9."
    )
    line.judge("c2", verdict("number", "drifted", diagnosis="lost"), verdict("up", "stable"))
    alert = line.alert(subject_kind="dictionary")
    assert (alert.state, alert.evidence["latest"]["undecided"]) == ("open", ["number"])
    line.judge("c3", verdict("number", "drifted", diagnosis="rotated"))
    assert line.alert(subject_kind="dictionary").state == "resolved"
    assert line.alert(subject_kind="feature").state == "open"
