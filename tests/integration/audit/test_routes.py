"""Every route that changes something leaves an entry that says who did what to what."""

from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select, update

from app.access.audit_chain import verify
from app.access.audit_tables import AuditEvent
from app.access.rules import MLFLOW
from app.core.database import Database
from app.evaluations.tables import Evaluation
from app.main import create_app
from app.settings import Settings
from tests.integration.access.conftest import PEPPER, holding, make_key
from tests.integration.access.lines import Line, features, register
from tests.integration.access.test_tenancy import BODIES
from tests.support.api import DOCUMENTS, make_dictionary, monitor_body
from tests.support.routes import routes_of

# Route → the action that it leaves. A new route that changes something fails here until it has one.
ACTIONS = {
    "POST /v1/models": "model.registered",
    "POST /v1/models/{model}/checkpoints": "checkpoint.registered",
    "PATCH /v1/models/{model}/checkpoints/{checkpoint}": "checkpoint.marked_benign",
    "PUT /v1/models/{model}/aliases/{alias}": "alias.set",
    "DELETE /v1/models/{model}/aliases/{alias}": "alias.removed",
    "POST /v1/corpora": "corpus.registered",
    "POST /v1/dictionaries": "dictionary.registered",
    "POST /v1/feature-sets": "feature_set.published",
    "POST /v1/monitors": "monitor.created",
    "PATCH /v1/monitors/{monitor}": "monitor.policy_changed",
    "POST /v1/evaluations": "evaluation.requested",
    "POST /v1/evaluations/{evaluation}:cancel": "evaluation.cancelled",
    "POST /v1/evaluations/{evaluation}:retry": "evaluation.retried",
    "POST /v1/repairs/{repair}:accept": "repair.accepted",
    "POST /v1/repairs/{repair}:reject": "repair.rejected",
    "POST /v1/alerts/{alert}:acknowledge": "alert.acknowledged",
    "POST /v1/webhooks": "webhook.created",
    "PATCH /v1/webhooks/{webhook}": "webhook.changed",
    "DELETE /v1/webhooks/{webhook}": "webhook.deleted",
    "POST /v1/webhooks/{webhook}:rotate": "webhook.secret_rotated",
    "POST /v1/webhooks/{webhook}:test": "webhook.tested",
    "POST /v1/webhooks/{webhook}/deliveries/{delivery}:redeliver": "webhook.redelivered",
    "POST /v1/api-keys": "api_key.created",
    "POST /v1/api-keys/{key}:revoke": "api_key.revoked",
    "POST /v1/api-keys/{key}:rotate": "api_key.rotated",
}
# Called by MLflow with a signature; its own tests look at its entries.
ELSEWHERE = {f"POST {MLFLOW}"}


@pytest.fixture
def locked(settings: Settings) -> Settings:
    return settings.model_copy(update={"require_keys": True, "key_pepper": PEPPER})


@pytest.fixture
def admin(locked: Settings, database: Database) -> Any:
    with TestClient(create_app(locked), raise_server_exceptions=False) as client:
        yield holding(client, make_key(database, "root", "admin"))


@pytest.fixture
def line(admin: TestClient, locked: Settings, database: Database) -> Line:
    return register(admin, locked, database, "ours")


def body_of(route: str, line: Line, settings: Settings) -> Any:
    root = settings.allowed_roots[0]
    if route == "POST /v1/models":
        return {"name": "fresh"}
    if route == "POST /v1/models/{model}/checkpoints":
        return {"name": "x", "source": "s3://bucket/x"}
    if route == "POST /v1/corpora":
        return {"name": "fresh", "documents": DOCUMENTS}
    if route == "POST /v1/dictionaries":
        return {"name": "fresh", "source": make_dictionary(root / "fresh")}
    if route == "POST /v1/feature-sets":
        return {"name": "fresh", "features": features("ours")}
    if route == "POST /v1/monitors":
        return monitor_body(
            name="fresh",
            model="ours",
            corpus="ours-corpus",
            feature_set={"name": "ours-set"},
            baseline={"alias": "ours-alias"},
        )
    if route == "PATCH /v1/webhooks/{webhook}":
        return {"description": "x"}
    if route == "PATCH /v1/monitors/{monitor}":
        return {"policy": {"alpha": 0.01}}
    if route == "POST /v1/evaluations":
        return {"monitor": line.parameters["monitor"], "checkpoint": "ours-base"}
    if route == "POST /v1/webhooks":
        return {"url": "https://hooks.invalid/", "by": "ada"}
    if route == "POST /v1/api-keys":
        return {"name": "fresh", "scope": "read", "by": "ada"}
    return BODIES[route]


def set_state(database: Database, line: Line, state: str) -> None:
    with database.unit_of_work() as session:
        session.execute(
            update(Evaluation)
            .where(Evaluation.id == UUID(line.parameters["evaluation"]))
            .values(state=state)
        )


def test_each_route_that_changes_something_is_listed() -> None:
    changing = {
        route
        for route in routes_of(create_app(Settings()))
        if " /v1/" in route and not route.startswith("GET ")
    }
    assert changing == set(ACTIONS) | ELSEWHERE


def test_each_leaves_an_entry(
    admin: TestClient, line: Line, locked: Settings, database: Database
) -> None:
    other = register(admin, locked, database, "theirs")
    root = admin.get("/v1/api-keys").json()["items"][-1]["id"]
    wrong = {}
    # What ends something comes last.
    for route in sorted(ACTIONS, key=lambda route: route.startswith("DELETE") or "revoke" in route):
        method, template = route.split()
        # A repair is decided once.
        path = (other if route.endswith(":reject") else line).path(template)
        if route.endswith(("{evaluation}:cancel", "{evaluation}:retry")):
            set_state(database, line, "running" if route.endswith("cancel") else "failed")
        headers = {}
        if method in {"PATCH", "DELETE"}:
            headers["If-Match"] = admin.get(path).headers["ETag"]
        if method == "PUT":
            path += "-new"
        before = ids(database)

        answer = admin.request(method, path, json=body_of(route, line, locked), headers=headers)

        with database.unit_of_work() as session:
            left = session.scalars(select(AuditEvent).where(AuditEvent.id.not_in(before))).all()
        found = [(e.action, e.principal, str(e.key_id)) for e in left if e.actor]
        if not answer.is_success or (ACTIONS[route], "root", root) not in found:
            wrong[route] = (answer.status_code, answer.text[:200], found)

    assert wrong == {}
    assert verify(database).whole


def ids(database: Database) -> list[UUID]:
    with database.unit_of_work() as session:
        return list(session.scalars(select(AuditEvent.id)))


def test_what_changes_nothing_leaves_no_entry(
    admin: TestClient, line: Line, database: Database
) -> None:
    before = ids(database)
    for path, body in (
        ("/v1/models", {"name": "ours"}),
        ("/v1/models", {"name": "not a name"}),
        ("/v1/models/ours/checkpoints", {"name": "y", "source": "/etc"}),
        ("/v1/webhooks", {"url": "ftp://nowhere/"}),
    ):
        admin.post(path, json=body)
    alias = {"checkpoint": "ours-base"}
    assert admin.put("/v1/models/ours/aliases/ours-alias", json=alias).status_code == 200

    assert ids(database) == before


def test_a_changed_policy_says_what_from_and_what_to(admin: TestClient, line: Line) -> None:
    path = f"/v1/monitors/{line.parameters['monitor']}"
    read = admin.get(path)
    policy = read.json()["policy"]
    changed = admin.patch(
        path,
        json={"policy": {**policy, "alpha": 0.01}, "enabled": False},
        headers={"If-Match": read.headers["ETag"]},
    )
    assert changed.status_code == 200, changed.text

    items = admin.get("/v1/audit-events?subject_kind=monitor").json()["items"]
    events = {event["action"]: event for event in items}
    detail = events["monitor.policy_changed"]["detail"]
    assert detail == {
        "monitor": line.parameters["monitor"],
        "alpha": {"from": policy["alpha"], "to": 0.01},
    }
    assert events["monitor.changed"]["detail"]["enabled"] == {"from": True, "to": False}
    assert events["monitor.policy_changed"]["model"] == "ours"
