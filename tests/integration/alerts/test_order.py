"""Evaluations that end late, twice, at once, or are gone."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import UUID

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError

from app.alerts.repository import insert_alert
from app.alerts.service import follow
from app.alerts.tables import Alert
from app.core.database import Database
from app.core.errors import NotFoundError
from app.core.ids import new_id
from app.evaluations import ledger
from app.evaluations.tables import Evaluation
from app.monitors.tables import Monitor
from app.registry.tables import Model
from app.webhooks.tables import Delivery
from tests.integration.alerts.conftest import Line, paged
from tests.support.api import finish, verdict


def test_an_older_evaluation_that_ends_late_changes_nothing(line: Line) -> None:
    older, newer = line.register("c1"), line.register("c2")
    line.succeed(newer, paged())
    before = line.alert()
    assert line.succeed(older, verdict("number", "stable")) == []
    after = line.alert()
    assert (after.state, after.last_evaluation_id) == ("open", newer)
    assert after.updated_at == before.updated_at


def test_an_older_drift_does_not_open_what_a_newer_evaluation_showed_stable(line: Line) -> None:
    older, newer = line.register("c1"), line.register("c2")
    line.succeed(newer, verdict("number", "stable"))
    assert line.succeed(older, paged()) == []
    assert line.alerts() == []


def test_an_older_success_counts_for_features_after_a_newer_failure(line: Line) -> None:
    older, newer = line.register("c1"), line.register("c2")
    line.fail(newer)
    assert line.succeed(older, paged()) == [("alert.opened", "number")]
    assert line.alert(subject_kind="evaluation").state == "open", "the newest still failed"


def test_another_look_at_an_older_checkpoint_does_not_speak_for_the_newest(line: Line) -> None:
    line.judge("c1", verdict("number", "stable"))
    line.judge("c2", paged())
    with line.database.unit_of_work() as session:
        first = session.scalars(select(Evaluation).order_by(Evaluation.id)).first()
        assert first is not None
        columns = {
            column.name: getattr(first, column.name)
            for column in Evaluation.__table__.columns
            if column.name not in ("id", "created_at", "inputs_digest", "state")
        }
        again = Evaluation(id=new_id(), inputs_digest="another policy", **columns)
        session.add(again)
        session.flush()
        evaluation = again.id
    assert line.succeed(evaluation, verdict("number", "stable")) == []
    assert line.alert().state == "open"


def test_the_same_evaluation_followed_twice_changes_nothing_more(line: Line) -> None:
    evaluation = line.register("c1")
    line.succeed(evaluation, paged(), verdict("up", "untrusted"))
    line.acknowledge(line.alert(subject="number"))
    before = {alert.id: alert.updated_at for alert in line.alerts()}
    events = line.events()
    assert line.follow(evaluation) == []
    assert {alert.id: alert.updated_at for alert in line.alerts()} == before
    assert {alert.occurrences for alert in line.alerts()} == {1}
    assert line.events() == events


def test_an_undecided_or_resolving_evaluation_followed_twice_changes_nothing_more(
    line: Line,
) -> None:
    line.judge("c1", paged(), paged("up"))
    evaluation = line.register("c2")
    line.succeed(evaluation, verdict("number", "inconclusive"), verdict("up", "stable"))
    events = line.events()
    assert line.follow(evaluation) == []
    assert line.events() == events


@pytest.mark.parametrize("first_is_newer", [True, False])
def test_two_evaluations_that_end_at_once_make_one_alert(line: Line, first_is_newer: bool) -> None:
    evaluations = [line.register("c1"), line.register("c2")]
    barrier = Barrier(2)

    def end(evaluation: UUID) -> None:
        with line.database.unit_of_work() as session:
            ledger.lock_evaluation(session, evaluation)
            finish(session, evaluation, [paged(), paged("up")])
            barrier.wait(timeout=30)
            follow(session, evaluation)

    order = evaluations[::-1] if first_is_newer else evaluations
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(end, order))
    alerts = line.alerts()
    assert sorted(alert.subject for alert in alerts) == ["number", "up"]
    assert {alert.last_evaluation_id for alert in alerts} == {evaluations[1]}
    assert {alert.state for alert in alerts} == {"open"}


def test_the_database_itself_keeps_a_second_unresolved_alert_out(line: Line) -> None:
    line.judge("c1", paged())
    first = line.alert()
    same = {
        name: getattr(first, name)
        for name in ("monitor_id", "subject_kind", "subject", "condition", "severity", "detail")
    }
    with (
        pytest.raises(IntegrityError, match="uq_alerts_unresolved"),
        line.database.unit_of_work() as session,
    ):
        insert_alert(session, **same, evidence={})
    line.judge("c2", verdict("number", "stable"))
    with line.database.unit_of_work() as session:
        insert_alert(session, **same, evidence={})


def test_a_transaction_that_is_rolled_back_leaves_neither_alert_nor_event(line: Line) -> None:
    evaluation = line.register("c1")
    with line.database.unit_of_work() as session:
        finish(session, evaluation, [paged()])
        assert follow(session, evaluation)
        session.rollback()
    assert line.alerts() == []
    assert line.events() == []


def test_a_deleted_monitor_or_model_takes_its_alerts_along(line: Line, database: Database) -> None:
    line.judge("c1", paged())
    alert = line.alert()
    with database.unit_of_work() as session:
        session.execute(delete(Monitor))
        session.execute(delete(Model))
    assert line.alerts() == []
    assert line.client.get("/v1/alerts").json()["items"] == []
    assert line.client.get(f"/v1/alerts/{alert.id}").json()["code"] == "unknown_alert"
    with database.unit_of_work() as session:
        assert session.scalars(select(Delivery.event)).all() != [], "what was to be sent, is sent"


def test_a_deleted_evaluation_leaves_its_alert_to_be_read_and_resolved(line: Line) -> None:
    line.judge("c1", paged())
    with line.database.unit_of_work() as session:
        session.execute(delete(Evaluation))
    found = line.client.get(f"/v1/alerts/{line.alert().id}").json()
    assert (found["first_evaluation"], found["since_checkpoint"]) == (None, None)
    assert found["evidence"]["since"]["checkpoint"] == "c1"
    assert line.judge("c2", verdict("number", "stable")) == [("alert.resolved", "number")]


def test_an_evaluation_that_was_cancelled_or_never_was_says_nothing(line: Line) -> None:
    evaluation = line.register("c1")
    assert line.client.post(f"/v1/evaluations/{evaluation}:cancel").status_code == 200
    assert line.follow(evaluation) == []
    with pytest.raises(NotFoundError, match="there is no evaluation"):
        line.follow(new_id())


def test_no_row_of_alerts_holds_a_contradiction(line: Line) -> None:
    line.judge("c1", paged())
    for broken in ({"state": "resolved"}, {"state": "acknowledged"}, {"subject": ""}):
        with (
            pytest.raises(IntegrityError, match="ck_alerts_"),
            line.database.unit_of_work() as session,
        ):
            session.execute(update(Alert).values(broken))
