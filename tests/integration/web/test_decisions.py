"""Deciding on pages: once, by whoever may, under their own name, on what they have read."""

import threading
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select, update

from app.access.audit_tables import AuditEvent
from app.access.principals import principal_of
from app.alerts import service as alerts
from app.alerts.schemas import Acknowledgement
from app.alerts.tables import Alert
from app.core.clock import now
from app.core.database import Database
from app.registry.tables import FeatureSetVersion
from app.repairs.tables import Repair
from app.settings import Settings
from tests.integration.access.conftest import make_key
from tests.integration.access.lines import Line, register
from tests.integration.web.conftest import Browser

HOSTILE = '<img src=x onerror="alert(1)"> & </textarea>'


@pytest.fixture
def line(admin: TestClient, locked: Settings, database: Database) -> Line:
    return register(admin, locked, database, "bot")


@pytest.fixture
def writer(client: TestClient, database: Database) -> Browser:
    """A browser that has signed in with a key that writes."""
    browser = Browser(client, "198.51.100.8")
    assert browser.sign_in(make_key(database, "ada", "write")).status_code == 303
    return browser


def seen_on(browser: Browser, page: str) -> str:
    """What the alert's form says of the state it was shown in."""
    text = browser.get(page).text
    return str(text.partition('name="seen" value="')[2].partition('"')[0])


def audited(database: Database, action: str) -> list[AuditEvent]:
    with database.unit_of_work() as session:
        return list(session.scalars(select(AuditEvent).where(AuditEvent.action == action)))


def alert_of(database: Database, line: Line) -> Alert:
    with database.unit_of_work() as session:
        return session.get_one(Alert, UUID(line.parameters["alert"]))


def repair_of(database: Database, line: Line) -> Repair:
    with database.unit_of_work() as session:
        return session.get_one(Repair, UUID(line.parameters["repair"]))


def acknowledge(browser: Browser, page: str, **fields: str) -> Any:
    fields = {"seen": seen_on(browser, page), **fields}
    return browser.send(page, f"{page}/acknowledge", **fields)


def test_an_alert_is_acknowledged_under_the_keys_own_name(
    writer: Browser, line: Line, database: Database
) -> None:
    page = line.path("/alerts/{alert}")
    answer = acknowledge(writer, page, note=f"  looking\r\nat it {HOSTILE} ", by="somebody else")
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{page}?done=acknowledged"
    alert = alert_of(database, line)
    assert (alert.state, alert.acknowledged_by) == ("acknowledged", "ada")
    assert alert.acknowledged_principal == "ada"
    assert alert.note == f"looking\nat it {HOSTILE}"
    [event] = audited(database, "alert.acknowledged")
    assert (event.actor, event.principal, event.model) == ("ada", "ada", "bot")
    shown = writer.get(answer.headers["location"]).text
    assert "Acknowledged. It stays so" in shown
    assert "<img src=x" not in shown
    assert "&lt;img src=x" in shown


def test_a_form_that_is_sent_twice_is_one_decision(
    writer: Browser, line: Line, database: Database
) -> None:
    page = line.path("/alerts/{alert}")
    fields = {"seen": seen_on(writer, page), "note": "mine"}
    token = writer.token(page)
    for _ in range(2):
        answer = writer.http.post(f"{page}/acknowledge", data={"csrf_token": token, **fields})
        assert answer.status_code == 303
    assert len(audited(database, "alert.acknowledged")) == 1


def test_two_forms_at_once_are_one_decision(
    client: TestClient, line: Line, database: Database, writer: Browser
) -> None:
    page = line.path("/repairs/{repair}")
    data = {"csrf_token": writer.token(page), "note": "as announced"}
    answers: list[int] = []

    def send() -> None:
        answer = writer.http.post(f"{page}/accept", data=data)
        answers.append(answer.status_code)

    threads = [threading.Thread(target=send) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [303, 303, 303]
    assert len(audited(database, "repair.accepted")) == 1
    with database.unit_of_work() as session:
        versions = session.scalar(
            select(func.count()).where(
                FeatureSetVersion.id == repair_of(database, line).feature_set_version_id
            )
        )
    assert versions == 1


def test_nobody_acknowledges_what_they_have_not_read(
    writer: Browser, line: Line, database: Database
) -> None:
    page = line.path("/alerts/{alert}")
    seen = seen_on(writer, page)
    with database.unit_of_work() as session:
        assert principal_of(session) is None
        body = Acknowledgement(by="grace", note="I am on it")
        alerts.acknowledge(session, UUID(line.parameters["alert"]), body)
    answer = acknowledge(writer, page, seen=seen, note="taken")
    assert answer.status_code == 409
    assert "has changed since you opened this page" in answer.text
    assert "I am on it" in answer.text
    assert "You take it over from <bdi>grace</bdi>" in answer.text
    # What was written is not lost, and sent again from this page it is taken.
    assert ">taken</textarea>" in answer.text
    assert alert_of(database, line).acknowledged_by == "grace"
    assert acknowledge(writer, page, note="taken").status_code == 303
    assert alert_of(database, line).acknowledged_by == "ada"


def test_a_resolved_alert_is_not_acknowledged(
    writer: Browser, line: Line, database: Database
) -> None:
    page = line.path("/alerts/{alert}")
    seen, token = seen_on(writer, page), writer.token(page)
    with database.unit_of_work() as session:
        session.execute(update(Alert).values(state="resolved", resolved_at=now()))
    data = {"csrf_token": token, "seen": seen}
    answer = writer.http.post(f"{page}/acknowledge", data=data)
    assert answer.status_code == 409
    assert "nothing to look after" in answer.text
    assert "/acknowledge" not in answer.text


@pytest.mark.parametrize("word", ["accept", "reject"])
def test_a_repair_is_decided_with_a_reason(
    writer: Browser, line: Line, database: Database, word: str
) -> None:
    page = line.path("/repairs/{repair}")
    unreasoned = writer.send(page, f"{page}/{word}", note="   ")
    assert unreasoned.status_code == 422
    assert "Give a reason" in unreasoned.text
    assert repair_of(database, line).state == "proposed"
    answer = writer.send(page, f"{page}/{word}", note=HOSTILE)
    assert answer.headers["location"] == f"{page}?done={word}ed"
    repair = repair_of(database, line)
    assert (repair.state, repair.decided_by, repair.note) == (f"{word}ed", "ada", HOSTILE)
    [event] = audited(database, f"repair.{word}ed")
    assert (event.actor, event.principal, event.detail["note"]) == ("ada", "ada", HOSTILE)
    shown = writer.get(answer.headers["location"]).text
    assert f"{word}ed".capitalize() in shown
    assert "<img src=x" not in shown
    assert "/accept" not in shown


def test_the_opposite_of_what_was_decided_is_told_and_not_done(
    writer: Browser, line: Line, database: Database
) -> None:
    page = line.path("/repairs/{repair}")
    token = writer.token(page)
    accepted = writer.http.post(f"{page}/accept", data={"csrf_token": token, "note": "good"})
    assert accepted.status_code == 303
    answer = writer.http.post(f"{page}/reject", data={"csrf_token": token, "note": "bad"})
    assert answer.status_code == 409
    assert "a decision stands" in answer.text
    assert repair_of(database, line).state == "accepted"


def test_a_proposal_that_was_made_anew_is_another(
    writer: Browser, line: Line, database: Database
) -> None:
    page = line.path("/repairs/{repair}")
    token = writer.token(page)
    with database.unit_of_work() as session:
        session.delete(session.get_one(Repair, UUID(line.parameters["repair"])))
    answer = writer.http.post(f"{page}/accept", data={"csrf_token": token, "note": "good"})
    assert answer.status_code == 404
    assert "has a new id" in answer.text


@pytest.mark.parametrize(
    ("page", "form"),
    [
        ("/alerts/{alert}", "/alerts/{alert}/acknowledge"),
        ("/repairs/{repair}", "/repairs/{repair}/accept"),
        ("/repairs/{repair}", "/repairs/{repair}/reject"),
    ],
)
def test_a_key_that_reads_sees_no_form_and_may_not_send_one(
    reader: Browser, line: Line, database: Database, page: str, form: str
) -> None:
    shown = reader.get(line.path(page))
    assert shown.status_code == 200
    assert line.path(form) not in shown.text
    assert "scope <code>write</code>" in shown.text
    answer = reader.send(line.path(page), line.path(form), note="mine", seen="")
    assert answer.status_code == 403
    assert alert_of(database, line).state == "open"
    assert repair_of(database, line).state == "proposed"


@pytest.mark.parametrize("form", ["/alerts/{alert}/acknowledge", "/repairs/{repair}/accept"])
def test_a_form_without_its_token_is_refused(
    writer: Browser, line: Line, database: Database, form: str
) -> None:
    for data in ({"note": "x"}, {"note": "x", "csrf_token": "made up"}):
        assert writer.http.post(line.path(form), data=data).status_code == 403
    assert alert_of(database, line).state == "open"
    assert repair_of(database, line).state == "proposed"


def test_texts_that_cannot_be_kept_are_told_of(
    writer: Browser, line: Line, database: Database
) -> None:
    page = line.path("/alerts/{alert}")
    for note, said in (("x" * 2001, "at most 2000 characters"), ("a\x00b", "cannot be taken")):
        answer = acknowledge(writer, page, note=note)
        assert answer.status_code == 422
        assert said in answer.text
    assert alert_of(database, line).state == "open"
