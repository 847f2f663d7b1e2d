"""From an event to a receiver, with real threads, a real Postgres and real answers."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select, text, update
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from app.core.clock import now
from app.core.database import Database
from app.settings import Settings
from app.webhooks import ledger, repository
from app.webhooks.addresses import Address
from app.webhooks.deliverer import Deliverer
from app.webhooks.events import emit
from app.webhooks.sender import Outcome
from app.webhooks.tables import Delivery, Webhook
from tests.integration.webhooks.conftest import Hooks
from tests.integration.webhooks.receiver import Receiver, dripping
from tests.support.deployment import wait_for


@pytest.fixture
def deliverer(settings: Settings, database: Database) -> Iterator[Deliverer]:
    """Deliveries are under way."""
    with Deliverer(settings) as deliverer:
        yield deliverer


def test_a_test_event_arrives_signed_and_the_log_says_so(
    hooks: Hooks, receiver: Receiver, deliverer: Deliverer
) -> None:
    receiver.answers.append((200, {}, b"taken"))
    webhook = hooks.make(receiver.url)
    path = hooks.test(webhook)
    delivery = hooks.get(f"{path}?wait=30")
    assert (delivery["state"], delivery["attempts"]) == ("delivered", 1)
    assert delivery["next_attempt_at"] is None
    (attempt,) = delivery["log"]
    assert (attempt["status"], attempt["error"], attempt["response"]) == (200, None, "taken")
    (request,) = receiver.received
    assert request.body.decode() == delivery["body"]
    assert request.headers["webhook-id"] == delivery["message_id"]
    document = Verifier(webhook["secret"]).verify(request.body, request.headers)
    assert document["type"] == "webhook.test"
    assert document["data"]["webhook"] == webhook["id"]


def test_errors_are_retried_under_the_same_id_with_a_signature_of_its_own_time(
    hooks: Hooks, receiver: Receiver, deliverer: Deliverer
) -> None:
    receiver.answer(500, 503, 302)
    webhook = hooks.make(receiver.url)
    path = hooks.test(webhook)
    assert hooks.get(f"{path}?wait=30")["log"][0]["status"] == 500
    delivery = hooks.ended(path)
    assert (delivery["state"], delivery["attempts"], delivery["error"]) == ("delivered", 4, None)
    assert [attempt["status"] for attempt in delivery["log"]] == [500, 503, 302, 204]
    assert len({request.headers["webhook-id"] for request in receiver.received}) == 1
    for request in receiver.received:
        Verifier(webhook["secret"]).verify(request.body, request.headers)


def test_a_delivery_fails_when_its_next_attempt_would_be_too_late(
    hooks: Hooks, receiver: Receiver, settings: Settings
) -> None:
    receiver.answer(*[500] * 50)
    path = hooks.test(hooks.make(receiver.url))
    with Deliverer(settings.model_copy(update={"webhook_max_age": 1.0})):
        delivery = hooks.ended(path)
    assert delivery["state"] == "failed"
    assert delivery["error"] == "answered 500; 200 to 299 says that it was taken"
    assert 2 <= delivery["attempts"] == len(receiver.received)


def test_a_fault_of_the_sender_is_an_attempt_with_a_pause_after_it(
    hooks: Hooks, receiver: Receiver, settings: Settings
) -> None:
    def broken(host: str, port: int, timeout: float) -> list[Address]:
        raise RuntimeError("unforeseen")

    patient = settings.model_copy(
        update={"webhook_retry_delays": (60.0,), "webhook_max_age": 3600.0}
    )
    with Deliverer(patient, resolver=broken):
        delivery = hooks.get(f"{hooks.test(hooks.make(receiver.url))}?wait=30")
    assert (delivery["state"], delivery["attempts"]) == ("pending", 1)
    assert delivery["error"] == "a fault of the sender's own: RuntimeError; see its log"
    times = [datetime.fromisoformat(delivery[f"{key}_attempt_at"]) for key in ("last", "next")]
    assert (times[1] - times[0]).total_seconds() >= 48
    assert receiver.received == []


def test_retry_after_is_waited_for(hooks: Hooks, receiver: Receiver, deliverer: Deliverer) -> None:
    receiver.answers.append((429, {"Retry-After": "30"}, b""))
    delivery = hooks.get(f"{hooks.test(hooks.make(receiver.url))}?wait=30")
    assert (delivery["state"], delivery["response_status"]) == ("pending", 429)
    times = [datetime.fromisoformat(delivery[f"{key}_attempt_at"]) for key in ("last", "next")]
    assert (times[1] - times[0]).total_seconds() >= 30
    assert len(receiver.received) == 1


def test_gone_disables_the_webhook_and_ends_what_waits_for_it(
    hooks: Hooks, client: TestClient, receiver: Receiver, settings: Settings
) -> None:
    webhook = hooks.make(receiver.url)
    paths = [hooks.test(webhook) for _ in range(3)]
    receiver.answer(410)
    with Deliverer(settings):
        found = [hooks.ended(path) for path in paths]
    assert [delivery["state"] for delivery in found] == ["failed"] * 3
    assert sorted(delivery["attempts"] for delivery in found) == [0, 0, 1]
    assert {delivery["error"] for delivery in found[1:]} == {
        "the webhook was disabled: the receiver answered 410 Gone"
    }
    assert len(receiver.received) == 1
    now_disabled = hooks.get(f"/v1/webhooks/{webhook['id']}")
    assert (now_disabled["enabled"], now_disabled["version"]) == (False, 2)
    assert now_disabled["disabled_reason"] == "the receiver answered 410 Gone"
    (event,) = hooks.get("/v1/audit-events?action=webhook.disabled")["items"]
    assert (event["subject_kind"], event["actor"]) == ("webhook", "featuredrift")
    # Enabled again, it is delivered to again.
    here = f"/v1/webhooks/{webhook['id']}"
    enabled = client.patch(here, json={"enabled": True}, headers={"If-Match": '"2"'}).json()
    assert enabled["disabled_reason"] is None
    assert client.post(f"{paths[1]}:redeliver").status_code == 202
    with Deliverer(settings):
        assert hooks.ended(paths[1])["state"] == "delivered"


def test_what_is_redelivered_keeps_its_id_and_body(
    hooks: Hooks, client: TestClient, receiver: Receiver, deliverer: Deliverer
) -> None:
    path = hooks.test(hooks.make(receiver.url))
    hooks.ended(path)
    answer = client.post(f"{path}:redeliver")
    assert (answer.status_code, answer.json()["state"]) == (202, "pending")
    delivery = hooks.ended(path)
    assert (delivery["state"], delivery["attempts"], len(delivery["log"])) == ("delivered", 2, 2)
    first, second = receiver.received
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


def test_both_secrets_sign_until_the_overlap_is_over(
    hooks: Hooks, client: TestClient, database: Database, receiver: Receiver, deliverer: Deliverer
) -> None:
    webhook = hooks.make(receiver.url)
    rotated = client.post(f"/v1/webhooks/{webhook['id']}:rotate", json={"overlap": 3600}).json()
    hooks.ended(hooks.test(webhook))
    with database.unit_of_work() as session:
        session.execute(update(Webhook).values(previous_secret_expires_at=now()))
    hooks.ended(hooks.test(webhook))
    during, after = receiver.received
    Verifier(webhook["secret"]).verify(during.body, during.headers)
    for request in (during, after):
        Verifier(rotated["secret"]).verify(request.body, request.headers)
    with pytest.raises(WebhookVerificationError):
        Verifier(webhook["secret"]).verify(after.body, after.headers)


def test_a_slow_target_delays_no_other(
    hooks: Hooks, receiver: Receiver, settings: Settings
) -> None:
    with dripping(b"", 0) as port:
        slow = hooks.make(f"http://127.0.0.1:{port}/")
        for _ in range(40):
            hooks.test(slow)
        quick = hooks.test(hooks.make(receiver.url))
        with Deliverer(settings.model_copy(update={"webhook_timeout": 60.0})):
            delivery = hooks.ended(quick)
            assert delivery["state"] == "delivered"
            log = hooks.get(f"/v1/webhooks/{slow['id']}/deliveries")["items"]
            # Whatever waits for the slow one, it holds one thread.
            assert sum(item["attempts"] for item in log) == 1
        # What did not end in time is given back, not left under its lease.
        with_lease = _leases(hooks, log)
    assert with_lease == 0


def _leases(hooks: Hooks, log: list[dict[str, object]]) -> int:
    database: Database = hooks.client.app.state.database  # type: ignore[attr-defined]
    with database.unit_of_work() as session:
        held = select(Delivery.id).where(Delivery.lease_expires_at.is_not(None))
        return len(session.scalars(held).all())


def test_two_deliverers_send_everything_once(
    hooks: Hooks, receiver: Receiver, settings: Settings
) -> None:
    webhooks = [hooks.make(receiver.url) for _ in range(4)]
    paths = [hooks.test(webhook) for webhook in webhooks for _ in range(8)]
    with ExitStack() as both:
        for _ in range(2):
            both.enter_context(Deliverer(settings))
        found = [hooks.ended(path) for path in paths]
    assert {delivery["state"] for delivery in found} == {"delivered"}
    sent = Counter(request.headers["webhook-id"] for request in receiver.received)
    assert sent == Counter(delivery["message_id"] for delivery in found)


def test_what_a_lost_attempt_brings_home_changes_nothing(
    hooks: Hooks, receiver: Receiver, settings: Settings, database: Database
) -> None:
    path = hooks.test(hooks.make(receiver.url))
    with database.unit_of_work() as session:
        (lost,) = ledger.claim_due(session, busy=(), limit=9, lease_seconds=-1)
    with database.unit_of_work() as session:
        (held,) = ledger.claim_due(session, busy=(), limit=9, lease_seconds=60)
        assert ledger.claim_due(session, busy=(), limit=9, lease_seconds=60) == []
    assert (lost.attempt, held.attempt) == (1, 2)
    with database.unit_of_work() as session:
        assert ledger.settle(session, lost, Outcome(None, 204), settings) is None
    assert hooks.get(path)["state"] == "pending"
    with database.unit_of_work() as session:
        assert ledger.settle(session, held, Outcome(None, 204), settings) == "delivered"
        assert ledger.settle(session, held, Outcome("late"), settings) is None
    assert hooks.get(path)["state"] == "delivered"


def test_a_gone_of_the_old_url_does_not_disable_the_new_one(
    hooks: Hooks, client: TestClient, receiver: Receiver, settings: Settings, database: Database
) -> None:
    webhook = hooks.make(receiver.url)
    hooks.test(webhook)
    with database.unit_of_work() as session:
        (claim,) = ledger.claim_due(session, busy=(), limit=9, lease_seconds=60)
    here = f"/v1/webhooks/{webhook['id']}"
    client.patch(here, json={"url": f"{receiver.url}/new"}, headers={"If-Match": '"1"'})
    with database.unit_of_work() as session:
        assert ledger.settle(session, claim, Outcome("gone", 410), settings) == "failed"
    assert hooks.get(here)["enabled"]


def test_only_enabled_webhooks_are_delivered_to_and_what_waits_too_long_fails(
    hooks: Hooks, client: TestClient, receiver: Receiver, settings: Settings, database: Database
) -> None:
    webhook = hooks.make(receiver.url)
    path = hooks.test(webhook)
    here = f"/v1/webhooks/{webhook['id']}"
    client.patch(here, json={"enabled": False}, headers={"If-Match": '"1"'})
    with database.unit_of_work() as session:
        assert ledger.claim_due(session, busy=(), limit=9, lease_seconds=60) == []
        assert ledger.give_up_old(session, 3600) == 0
        assert repository.counts_by_state(session) == {"pending": 1, "failed": 0}
        assert ledger.give_up_old(session, 0) == 1
        assert repository.counts_by_state(session.connection()) == {"pending": 0, "failed": 1}
    assert hooks.get(path)["error"] == "it was not taken in time"


def test_the_log_is_kept_for_so_many_days(
    hooks: Hooks, receiver: Receiver, settings: Settings, database: Database
) -> None:
    webhook = hooks.make(receiver.url)
    old, new = hooks.test(webhook), hooks.test(webhook)
    with Deliverer(settings):
        for path in (old, new):
            hooks.ended(path)
    with database.unit_of_work() as session:
        session.execute(
            update(Delivery)
            .where(Delivery.id == UUID(old.rpartition("/")[2]))
            .values(finished_at=text("now() - interval '31 days'"))
        )
        assert ledger.purge_log(session, settings.webhook_log_days) == 1
    (kept,) = hooks.get(f"/v1/webhooks/{webhook['id']}/deliveries")["items"]
    assert new.endswith(kept["id"])


def test_deliveries_go_on_after_postgres_cut_their_connections(
    hooks: Hooks, receiver: Receiver, database: Database, deliverer: Deliverer
) -> None:
    webhook = hooks.make(receiver.url)
    hooks.ended(hooks.test(webhook))
    with database.unit_of_work() as session:
        session.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'featuredrift-webhooks' "
                "AND datname = current_database()"
            )
        )
    assert hooks.ended(hooks.test(webhook))["state"] == "delivered"


def test_filters_say_what_is_sent_and_a_rolled_back_event_is_not(
    hooks: Hooks, settings: Settings, database: Database, client: TestClient
) -> None:
    for name in ("bot", "other"):
        assert client.post("/v1/models", json={"name": name}).status_code == 201
    url = "http://127.0.0.1:9/"
    made = {
        "all": hooks.make(url),
        "opened": hooks.make(url, events=["alert.opened"]),
        "bot": hooks.make(url, models=["bot"], events=["alert.opened", "alert.resolved"]),
        "off": hooks.make(url, enabled=False),
    }
    with database.unit_of_work() as session:
        # A filter of monitors, which no API call of this test makes.
        row = session.get_one(Webhook, UUID(hooks.make(url)["id"]))
        row.monitors = ["watch"]
        made["watch"] = {"id": str(row.id)}

    def addressed(event: str, model: str, monitor: str | None) -> set[str]:
        with database.unit_of_work() as session:
            count = emit(session, event, {"n": 1}, model=model, monitor=monitor)
            rows = session.scalars(select(Delivery).where(Delivery.event == event)).all()
            assert len(rows) == count
            assert len({row.message_id for row in rows}) <= 1
            assert all(
                json.loads(row.body)["data"] == {"model": model, "monitor": monitor, "n": 1}
                for row in rows
            )
            found = {str(row.webhook_id) for row in rows}
            session.rollback()
        return {name for name, webhook in made.items() if webhook["id"] in found}

    assert addressed("alert.opened", "bot", "watch") == {"all", "opened", "bot", "watch"}
    assert addressed("alert.opened", "other", "else") == {"all", "opened"}
    assert addressed("alert.resolved", "bot", None) == {"all", "bot"}
    assert addressed("evaluation.finished", "bot", "watch") == {"all", "watch"}
    with database.unit_of_work() as session:
        assert session.scalars(select(Delivery.id)).all() == []
        with pytest.raises(ValueError, match=r"'alert\.lost' is no event"):
            emit(session, "alert.lost", {}, model="bot", monitor=None)


def test_an_event_and_a_deletion_at_the_same_time_do_not_fail_each_other(
    hooks: Hooks, client: TestClient, database: Database
) -> None:
    webhook = hooks.make("http://127.0.0.1:9/")
    here = f"/v1/webhooks/{webhook['id']}"
    answers: list[int] = []
    deleting = threading.Thread(
        target=lambda: answers.append(client.delete(here, headers={"If-Match": '"1"'}).status_code)
    )
    with database.unit_of_work() as session:
        assert emit(session, "alert.opened", {}, model="bot", monitor=None) == 1
        deleting.start()
        time.sleep(0.3)
        assert deleting.is_alive()
    deleting.join()
    assert answers == [204]
    with database.unit_of_work() as session:
        assert emit(session, "alert.opened", {}, model="bot", monitor=None) == 0
        assert session.scalars(select(Delivery.id)).all() == []


@contextmanager
def _blocked(receiver: Receiver) -> Iterator[threading.Event]:
    """Requests are answered only once the event is set."""
    go = threading.Event()
    receiver.before = lambda _request: go.wait(30)
    try:
        yield go
    finally:
        go.set()


def test_at_the_end_what_is_under_way_may_end_and_nothing_new_begins(
    hooks: Hooks, receiver: Receiver, settings: Settings
) -> None:
    webhook = hooks.make(receiver.url)
    paths = [hooks.test(webhook) for _ in range(3)]
    patient = settings.model_copy(update={"webhook_timeout": 30.0})
    with _blocked(receiver) as go:
        with Deliverer(patient):
            wait_for(lambda: receiver.received)
            threading.Timer(0.5, go.set).start()
        states = sorted(hooks.get(path)["state"] for path in paths)
    assert states == ["delivered", "pending", "pending"]
    assert len(receiver.received) == 1
