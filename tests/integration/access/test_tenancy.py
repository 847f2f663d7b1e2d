"""A key that is bound to one model sees and touches nothing of another: on every route."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from app.access.rules import MLFLOW, RULES
from app.core.database import Database
from app.main import create_app
from app.settings import Settings
from app.tables import Base
from tests.integration.access.conftest import holding, make_key
from tests.integration.access.lines import Line, features, register
from tests.support.api import DOCUMENTS, make_dictionary, monitor_body
from tests.support.routes import routes_of

# What each route that changes something is sent. A new one fails here until it has a body.
BODIES: dict[str, Any] = {
    "PUT /v1/models/{model}/aliases/{alias}": {"checkpoint": "ours-base"},
    "DELETE /v1/models/{model}/aliases/{alias}": None,
    "POST /v1/models/{model}/checkpoints": {"name": "x", "source": "/models/x"},
    "PATCH /v1/models/{model}/checkpoints/{checkpoint}": {"benign": True, "by": "ada"},
    "PATCH /v1/monitors/{monitor}": {"enabled": False},
    "POST /v1/evaluations/{evaluation}:cancel": None,
    "POST /v1/evaluations/{evaluation}:retry": None,
    "POST /v1/repairs/{repair}:accept": {"by": "ada"},
    "POST /v1/repairs/{repair}:reject": {"by": "ada"},
    "POST /v1/alerts/{alert}:acknowledge": {"by": "ada"},
    "PATCH /v1/webhooks/{webhook}": {"enabled": False},
    "DELETE /v1/webhooks/{webhook}": None,
    "POST /v1/webhooks/{webhook}:rotate": {},
    "POST /v1/webhooks/{webhook}:test": None,
    "POST /v1/webhooks/{webhook}/deliveries/{delivery}:redeliver": None,
    "POST /v1/api-keys/{key}:revoke": {"by": "ada"},
    "POST /v1/api-keys/{key}:rotate": {"by": "ada"},
}
# Those that make something new have tests of their own below.
MAKING = {
    f"POST /v1/{name}"
    for name in (
        *("models", "corpora", "dictionaries", "feature-sets"),
        *("monitors", "evaluations", "webhooks", "api-keys"),
    )
}
ROUTES = sorted(
    route
    for route in routes_of(create_app(Settings()))
    if " /v1/" in route and route != f"POST {MLFLOW}"
)
ONES = [route for route in ROUTES if "{" in route]
# Schemas tell of no deployment.
LISTS = [
    route
    for route in ROUTES
    if "{" not in route and route.startswith("GET ") and "/v1/schemas/" not in route
]


@pytest.fixture
def ours(admin: TestClient, locked: Settings, database: Database) -> Line:
    return register(admin, locked, database, "ours")


@pytest.fixture
def theirs(admin: TestClient, locked: Settings, database: Database) -> Line:
    return register(admin, locked, database, "theirs")


@pytest.fixture
def bound(client: TestClient, database: Database, ours: Line) -> TestClient:
    """Whoever may do everything, with our model."""
    return holding(client, make_key(database, "ours-admin", "admin", "ours"))


def send(client: TestClient, route: str, line: Line, **query: str) -> Any:
    method, template = route.split()
    body = BODIES[route] if method != "GET" else None
    return client.request(method, line.path(template), json=body, params=query)


def rows(database: Database) -> dict[str, list[Any]]:
    """Everything that is stored, save when a key was used."""
    with database.unit_of_work() as session:
        return {
            name: sorted(
                tuple(map(str, row))
                for row in session.execute(
                    select(*(column for column in table.c if column.name != "last_used_at"))
                )
            )
            for name, table in Base.metadata.tables.items()
        }


def shows(text: str, line: Line) -> list[str]:
    return sorted(mark for mark in line.marks() if mark in text)


def test_the_routes_are_all_of_them() -> None:
    assert len(ONES) > 40
    assert len(LISTS) > 10
    changing = {route for route in ROUTES if not route.startswith("GET ")}
    assert changing == set(BODIES) | MAKING, "give each route that changes something a body"


def test_nothing_of_another_model_is_found_or_touched(
    bound: TestClient, theirs: Line, database: Database
) -> None:
    before = rows(database)
    wrong = {}
    for route in ONES:
        response = send(bound, route, theirs)
        if response.status_code != 404 or response.json()["status"] != 404:
            wrong[route] = (response.status_code, response.text[:200])
        # What is said is what was asked for, and no more.
        told = response.text
        for name, value in theirs.parameters.items():
            if f"{{{name}}}" in route:
                told = told.replace(value, "")
        assert not shows(told, theirs), (route, told)

    assert wrong == {}
    assert rows(database) == before


def test_of_its_own_model_everything_is_found(bound: TestClient, ours: Line, theirs: Line) -> None:
    """Without this, the test above would pass where nothing is ever found."""
    for route in (route for route in ONES if route.startswith("GET ")):
        response = send(bound, route, ours)
        # This evaluation has no file of passages: it was ended without a worker.
        expected = {200, 404} if route.endswith("/passages") else {200}
        assert response.status_code in expected, (route, response.text)
        assert not shows(response.text, theirs), route
    for route in (route for route in ONES if not route.startswith("GET ")):
        response = send(bound, route, ours)
        assert response.status_code not in {401, 403, 404, 500}, (route, response.text)


@pytest.mark.parametrize("query", [{}, {"limit": "1"}], ids=["whole", "paged"])
def test_lists_leave_out_what_is_another_models(
    bound: TestClient, admin: TestClient, ours: Line, theirs: Line, query: dict[str, str]
) -> None:
    send(bound, "POST /v1/alerts/{alert}:acknowledge", ours)
    send(admin, "POST /v1/alerts/{alert}:acknowledge", theirs)
    for route in LISTS:
        path = route.split()[1]
        found: list[Any] = []
        cursor: dict[str, str] = {}
        while True:
            page = bound.get(path, params={**query, **cursor}).json()
            found += page["items"]
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert found, f"{route} shows nothing of its own"
        assert not shows(str(found), theirs), route
        assert shows(str(admin.get(path, params={"limit": 500}).json()), theirs), route


@pytest.mark.parametrize("route", LISTS)
def test_asking_a_list_for_another_model_finds_nothing(
    bound: TestClient, theirs: Line, route: str
) -> None:
    path = route.split()[1]
    names = {
        "model": "theirs",
        "monitor": "theirs-monitor",
        "checkpoint": "theirs-next",
        "evaluation": theirs.parameters["evaluation"],
        "subject_id": theirs.parameters["alert"],
    }
    document = bound.get("/openapi.json").json()["paths"][path]["get"]
    known = {parameter["name"] for parameter in document.get("parameters", [])}
    for name in sorted(known & set(names)):
        assert bound.get(path, params={name: names[name]}).json()["items"] == [], name


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/v1/models", {"name": "theirs"}, 403, "model_not_allowed"),
        ("/v1/models", {"name": "new"}, 403, "model_not_allowed"),
        ("/v1/models", {"name": "ours"}, 200, None),
        ("/v1/monitors", {"model": "theirs"}, 422, "unknown_model"),
        ("/v1/monitors", {"corpus": "theirs-corpus"}, 422, "unknown_corpus"),
        ("/v1/monitors", {"feature_set": {"name": "theirs-set"}}, 422, "unknown_feature_set"),
        ("/v1/monitors", {"name": "theirs-monitor"}, 409, "name_taken"),
        ("/v1/monitors", {}, 201, None),
        (
            "/v1/evaluations",
            {"monitor": "theirs-monitor", "checkpoint": "theirs-next"},
            422,
            "unknown_monitor",
        ),
        (
            "/v1/evaluations",
            {"monitor": "ours-monitor", "checkpoint": "theirs-next"},
            422,
            "unknown_checkpoint",
        ),
        ("/v1/corpora", {"name": "theirs-corpus", "documents": DOCUMENTS}, 409, "name_taken"),
        ("/v1/corpora", {"name": "ours-new", "documents": DOCUMENTS}, 201, None),
        ("/v1/feature-sets", {"name": "theirs-set", "features": []}, 409, "name_taken"),
        ("/v1/feature-sets", {"name": "ours-new", "features": "theirs"}, 422, "unknown_dictionary"),
        ("/v1/webhooks", {"url": "https://h.invalid/", "models": ["theirs"]}, 403, None),
        ("/v1/webhooks", {"url": "https://h.invalid/", "monitors": ["theirs-monitor"]}, 422, None),
        ("/v1/api-keys", {"name": "k", "scope": "read", "models": ["theirs"]}, 422, None),
        ("/v1/api-keys", {"name": "k", "scope": "read", "models": ["ours"]}, 201, None),
    ],
)
def test_what_is_made_refers_to_nothing_of_another_model(
    bound: TestClient,
    theirs: Line,
    path: str,
    body: dict[str, Any],
    status: int,
    code: str | None,
) -> None:
    if path == "/v1/monitors":
        own = {
            "name": "ours-second",
            "model": "ours",
            "corpus": "ours-corpus",
            "feature_set": {"name": "ours-set"},
            "baseline": {"alias": "ours-alias"},
        }
        body = monitor_body(**own) | body
    if path == "/v1/feature-sets":
        body = body | {"features": features("theirs" if body["features"] else "ours")}

    response = bound.post(path, json=body)

    assert response.status_code == status, response.text
    if code is not None:
        assert response.json()["code"] == code


def test_a_dictionary_of_that_name_is_not_told_of(
    bound: TestClient, theirs: Line, locked: Settings
) -> None:
    source = make_dictionary(locked.allowed_roots[0] / "another")

    taken = bound.post("/v1/dictionaries", json={"name": "theirs-dictionary", "source": source})
    free = bound.post("/v1/dictionaries", json={"name": "ours-new", "source": source})

    assert (taken.status_code, taken.json()["code"]) == (409, "name_taken")
    assert free.status_code == 201
    assert bound.get("/v1/dictionaries/ours-new").status_code == 200


def test_what_a_bound_key_registers_is_its_models_and_the_unbound_ones(
    bound: TestClient, admin: TestClient, client: TestClient, database: Database, theirs: Line
) -> None:
    other = holding(client, make_key(database, "theirs-admin", "admin", "theirs"))
    body = {"name": "ours-fresh", "documents": DOCUMENTS}

    assert bound.post("/v1/corpora", json=body).status_code == 201

    assert bound.get("/v1/corpora/ours-fresh").status_code == 200
    assert admin.get("/v1/corpora/ours-fresh").status_code == 200
    assert other.get("/v1/corpora/ours-fresh").status_code == 404
    assert other.post("/v1/corpora", json=body).status_code == 409


def test_what_both_use_is_seen_by_both_with_each_ones_results_only(
    admin: TestClient,
    client: TestClient,
    locked: Settings,
    database: Database,
    ours: Line,
) -> None:
    both = register(
        admin,
        locked,
        database,
        "guest",
        corpus="ours-corpus",
        feature_set={"name": "ours-set"},
    )
    guest = holding(client, make_key(database, "guest-admin", "admin", "guest"))
    host = holding(client, make_key(database, "host-admin", "admin", "ours"))

    for path in ("/v1/corpora/ours-corpus", "/v1/feature-sets/ours-set/versions/1"):
        assert guest.get(path).status_code == host.get(path).status_code == 200
    history = f"/v1/features/{both.parameters['feature']}/history"
    assert {line["monitor"] for line in guest.get(history).json()["items"]} == {"guest-monitor"}
    assert {line["monitor"] for line in host.get(history).json()["items"]} == {"ours-monitor"}
    assert len(admin.get(history).json()["items"]) == 2
    # What an evaluation was made with stays seen when the monitor has gone on to something else.
    etag = guest.get("/v1/monitors/guest-monitor").headers["ETag"]
    changed = guest.patch(
        "/v1/monitors/guest-monitor", json={"corpus": "guest-corpus"}, headers={"If-Match": etag}
    )
    assert changed.status_code == 422  # nobody has shared that one with it
    etag = admin.get("/v1/monitors/guest-monitor").headers["ETag"]
    admin.patch(
        "/v1/monitors/guest-monitor", json={"corpus": "guest-corpus"}, headers={"If-Match": etag}
    )
    assert guest.get("/v1/corpora/guest-corpus").status_code == 200
    assert guest.get("/v1/corpora/ours-corpus").status_code == 200
    assert guest.get(f"/v1/evaluations/{both.parameters['evaluation']}").status_code == 200


def test_all_means_all_of_its_own(bound: TestClient, ours: Line) -> None:
    hook = bound.post("/v1/webhooks", json={"url": "https://h.invalid/"}).json()
    key = bound.post("/v1/api-keys", json={"name": "k", "scope": "write"}).json()

    assert hook["models"] == ["ours"]
    assert key["models"] == ["ours"]
    changed = bound.patch(
        f"/v1/webhooks/{hook['id']}", json={"models": []}, headers={"If-Match": '"1"'}
    )
    assert changed.json()["models"] == ["ours"]


def test_webhooks_of_everything_hear_of_what_a_bound_key_does(
    admin: TestClient, bound: TestClient, ours: Line
) -> None:
    hook = admin.post("/v1/webhooks", json={"url": "https://h.invalid/"}).json()["id"]
    assert bound.get(f"/v1/webhooks/{hook}").status_code == 404

    assert send(bound, "POST /v1/alerts/{alert}:acknowledge", ours).status_code == 200

    events = [
        item["event"] for item in admin.get(f"/v1/webhooks/{hook}/deliveries").json()["items"]
    ]
    assert events == ["alert.acknowledged"]


def test_nobody_is_answered_what_somebody_else_was(
    client: TestClient, database: Database, bound: TestClient, theirs: Line
) -> None:
    other = holding(client, make_key(database, "theirs-admin", "admin", "theirs"))
    headers = {"Idempotency-Key": "retry-1"}
    body = {"name": "spare", "scope": "read"}

    first = other.post("/v1/api-keys", json=body, headers=headers)
    again = other.post("/v1/api-keys", json=body, headers=headers)
    foreign = bound.post("/v1/api-keys", json=body, headers=headers)

    assert first.status_code == again.status_code == 201
    assert again.headers["Idempotent-Replayed"] == "true"
    assert first.json()["key"] is not None
    assert again.json()["key"] is None
    assert foreign.status_code == 409
    assert "Idempotent-Replayed" not in foreign.headers
    # A key alone has never been kept.
    assert first.json()["key"] not in str(rows(database))


def test_who_was_authenticated_stands_beside_who_was_named(bound: TestClient, ours: Line) -> None:
    alert = send(bound, "POST /v1/alerts/{alert}:acknowledge", ours).json()
    repair = send(bound, "POST /v1/repairs/{repair}:reject", ours).json()

    assert (alert["acknowledged_by"], alert["acknowledged_principal"]) == ("ada", "ours-admin")
    assert (repair["decided_by"], repair["decided_principal"]) == ("ada", "ours-admin")
    events = {e["action"]: e for e in bound.get("/v1/audit-events").json()["items"]}
    for action in ("alert.acknowledged", "repair.rejected"):
        event = events[action]
        assert (event["actor"], event["principal"], event["model"]) == ("ada", "ours-admin", "ours")
        assert event["key_id"] is not None


def test_without_keys_the_principal_is_local(settings: Settings) -> None:
    with TestClient(create_app(settings)) as local:
        hook = local.post("/v1/webhooks", json={"url": "https://h.invalid/", "by": "ada"})
        (event,) = local.get("/v1/audit-events").json()["items"]

    assert hook.status_code == 201
    assert (event["actor"], event["principal"], event["key_id"]) == ("ada", "local", None)


def test_every_rule_is_of_a_route_that_is_tested() -> None:
    assert set(ROUTES) == {route for route in RULES if " /v1/" in route} - {f"POST {MLFLOW}"}
