"""/v1/webhooks: made, changed, rotated, removed; what is refused; what is kept secret."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from app.access.audit_tables import AuditEvent
from app.access.tables import IdempotencyKey
from app.core.database import Database
from app.main import create_app
from app.settings import Settings
from app.webhooks.tables import Webhook
from tests.integration.webhooks.conftest import Hooks

URL = "http://127.0.0.1:9/hook"


def test_the_secret_is_shown_once(client: TestClient, hooks: Hooks, database: Database) -> None:
    made = client.post("/v1/webhooks", json={"url": URL}, headers={"Idempotency-Key": "k"})
    secret = made.json()["secret"]
    assert secret.startswith("whsec_")
    here = made.headers["Location"]
    again = client.post("/v1/webhooks", json={"url": URL}, headers={"Idempotency-Key": "k"})
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json() == made.json() | {"secret": None}
    (listed,) = hooks.get("/v1/webhooks")["items"]
    assert hooks.get(here) == listed
    assert "secret" not in listed
    patched = client.patch(here, json={"description": "x"}, headers={"If-Match": '"1"'})
    with database.unit_of_work() as session:
        assert session.scalars(select(Webhook.secret)).all() == [secret]
        kept = [key.body for key in session.scalars(select(IdempotencyKey))]
        audited = [event.detail for event in session.scalars(select(AuditEvent))]
    assert secret not in f"{patched.text}{kept}{audited}"


def test_rotation_shows_the_new_secret_and_dates_the_old_one(
    client: TestClient, hooks: Hooks, database: Database
) -> None:
    webhook = hooks.make(URL)
    here = f"/v1/webhooks/{webhook['id']}"
    rotated = client.post(f"{here}:rotate", json={"overlap": 3600, "by": "ada"})
    assert rotated.status_code == 200
    assert rotated.json()["secret"] not in (None, webhook["secret"])
    assert rotated.json()["previous_secret_expires_at"] is not None
    assert rotated.headers["ETag"] == '"2"'
    with database.unit_of_work() as session:
        row = session.scalars(select(Webhook)).one()
        assert (row.secret, row.previous_secret) == (rotated.json()["secret"], webhook["secret"])
    leaked = client.post(f"{here}:rotate", json={"overlap": 0}).json()
    assert leaked["previous_secret_expires_at"] is None
    with database.unit_of_work() as session:
        assert session.scalars(select(Webhook.previous_secret)).all() == [None]


def test_changes_need_the_version_that_was_read(client: TestClient, hooks: Hooks) -> None:
    here = f"/v1/webhooks/{hooks.make(URL)['id']}"
    body = {"events": ["alert.opened"], "enabled": False, "description": "x", "by": "ada"}
    assert client.patch(here, json=body).status_code == 428
    changed = client.patch(here, json=body, headers={"If-Match": '"1"'})
    assert changed.status_code == 200
    assert changed.headers["ETag"] == '"2"'
    assert {key: changed.json()[key] for key in ("events", "enabled", "description")} == {
        "events": ["alert.opened"],
        "enabled": False,
        "description": "x",
    }
    assert client.patch(here, json=body, headers={"If-Match": '"1"'}).status_code == 412
    assert client.delete(here, headers={"If-Match": '"1"'}).status_code == 412
    assert client.delete(f"{here}?by=ada", headers={"If-Match": '"2"'}).status_code == 204
    assert client.get(here).status_code == 404
    events = hooks.get("/v1/audit-events")["items"]
    assert [(event["action"], event["actor"]) for event in events] == [
        ("webhook.deleted", "ada"),
        ("webhook.changed", "ada"),
        ("webhook.created", "unnamed"),
    ]


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"url": "ftp://a.test/"}, "invalid_url", "url"),
        ({"url": "http://u:p@127.0.0.1/"}, "invalid_url", "url"),
        ({"url": "http://10.0.0.1/"}, "target_refused", "url"),
        ({"url": "http://[::ffff:10.0.0.1]/"}, "target_refused", "url"),
        ({"url": "http://169.254.169.254/latest/meta-data"}, "target_refused", "url"),
        ({"url": "http://167772161/"}, "target_refused", "url"),
        ({"url": URL, "models": ["nobody"]}, "unknown_model", "models"),
        ({"url": URL, "monitors": ["nobody"]}, "unknown_monitor", "monitors"),
        ({"url": URL, "events": ["alert.lost"]}, "invalid_input", "events.0"),
        ({"url": URL, "secret": "whsec_mine"}, "invalid_input", "secret"),
    ],
)
def test_what_cannot_work_is_refused_at_once(
    client: TestClient, body: dict[str, Any], code: str, field: str
) -> None:
    refused = client.post("/v1/webhooks", json=body)
    assert refused.status_code == 422
    assert (refused.json()["code"], refused.json()["field"]) == (code, field)
    assert client.get("/v1/webhooks").json()["items"] == []


def test_loopback_is_refused_where_no_setting_allows_it(settings: Settings) -> None:
    strict = settings.model_copy(update={"webhook_allowed_networks": ()})
    with TestClient(create_app(strict)) as client:
        for host in ("127.0.0.1", "localhost", "[::1]"):
            refused = client.post("/v1/webhooks", json={"url": f"http://{host}/"})
            assert refused.json()["code"] == "target_refused"


def test_a_changed_url_is_checked_too(client: TestClient, hooks: Hooks) -> None:
    here = f"/v1/webhooks/{hooks.make(URL)['id']}"
    refused = client.patch(here, json={"url": "http://10.0.0.1/"}, headers={"If-Match": '"1"'})
    assert refused.json()["code"] == "target_refused"
    assert hooks.get(here)["url"] == URL


def test_a_disabled_webhook_is_neither_tested_nor_redelivered_to(
    client: TestClient, hooks: Hooks
) -> None:
    webhook = hooks.make(URL)
    delivery = hooks.test(webhook)
    here = f"/v1/webhooks/{webhook['id']}"
    client.patch(here, json={"enabled": False}, headers={"If-Match": '"1"'})
    for path in (f"{here}:test", f"{delivery}:redeliver"):
        refused = client.post(path)
        assert (refused.status_code, refused.json()["code"]) == (409, "webhook_disabled")


def test_the_log_is_of_one_webhook_and_paged(client: TestClient, hooks: Hooks) -> None:
    webhook, other = hooks.make(URL), hooks.make(URL)
    paths = [hooks.test(webhook) for _ in range(3)]
    log = f"/v1/webhooks/{webhook['id']}/deliveries"
    first = hooks.get(f"{log}?limit=2")
    second = hooks.get(f"{log}?limit=2&cursor={first['next_cursor']}")
    found = [item["id"] for item in first["items"] + second["items"]]
    assert found == [path.rpartition("/")[2] for path in reversed(paths)]
    assert second["next_cursor"] is None
    assert hooks.get(f"{log}?state=delivered")["items"] == []
    assert hooks.get(f"{log}?event=alert.opened")["items"] == []
    foreign = f"/v1/webhooks/{other['id']}/deliveries/{found[0]}"
    assert client.get(foreign).json()["code"] == "unknown_delivery"
