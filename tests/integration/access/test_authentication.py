"""Who gets in, who does not, and what they are told."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event, update

from app.access.attempts import ALLOWED
from app.access.authentication import Authenticator, require
from app.access.keys_tables import ApiKey
from app.core.database import Database
from app.core.ids import new_id
from app.core.key_text import new_key
from app.main import create_app
from app.settings import Settings
from tests.integration.access.conftest import PEPPER, holding, make_key


def code_of(client: TestClient, path: str = "/v1/models") -> tuple[int, str]:
    response = client.get(path)
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


def test_without_a_key_nothing_is_answered(client: TestClient) -> None:
    response = client.get("/v1/models")

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="featuredrift"'
    assert response.json()["code"] == "missing_api_key"
    assert "featuredrift keys create" in response.json()["detail"]
    # Not even what there is: a route that is none is refused alike.
    assert code_of(client, "/v1/nothing") == (401, "missing_api_key")


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/openapi.json", "/runbooks/"])
def test_these_need_none(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 200


def test_a_body_is_not_read_for_nobody(client: TestClient) -> None:
    response = client.post("/v1/models", content=b"{" * 1000)

    assert response.status_code == 401
    assert response.headers["Connection"] == "close"


def test_a_key_that_works(client: TestClient, database: Database) -> None:
    key = make_key(database, "reader", "read")

    assert holding(client, key).get("/v1/models").status_code == 200
    assert client.get("/v1/models", headers={"authorization": f"bearer  {key}"}).is_success


def test_a_typo_is_told_from_an_unknown_key_without_the_database(
    client: TestClient, database: Database, locked: Settings
) -> None:
    key = make_key(database, "reader", "read")
    asked = []
    engine = client.app.state.database.engine  # type: ignore[attr-defined]
    event.listen(engine, "before_cursor_execute", lambda *_: asked.append(1))

    wrong = key[:-1] + ("0" if key[-1] != "0" else "1")
    response = holding(client, wrong).get("/v1/models")

    assert response.json()["code"] == "malformed_api_key"
    assert response.headers["WWW-Authenticate"].endswith('error="invalid_token"')
    assert not asked
    assert code_of(holding(client, new_key())) == (401, "unknown_api_key")
    assert asked


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Basic YTpi", "fd_", "Bearer ﬀ", "Bearer a b", "Bearer fd_ﬀ"],
)
def test_other_headers_are_refused(client: TestClient, header: str) -> None:
    response = client.get("/v1/models", headers={"Authorization": header.encode()})

    assert response.status_code == 401
    assert response.json()["code"] == "malformed_api_key"


def test_an_expired_key(client: TestClient, database: Database) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    key = make_key(database, "short", "read", expires_at=soon)
    assert holding(client, key).get("/v1/models").status_code == 200

    with database.unit_of_work() as session:
        session.execute(update(ApiKey).values(expires_at=datetime.now(UTC)))

    assert code_of(holding(client, key)) == (401, "expired_api_key")


def test_a_revoked_key_stops_at_once(admin: TestClient, database: Database) -> None:
    key = make_key(database, "leaver", "write")
    holder = holding(admin, key)
    assert holder.get("/v1/models").status_code == 200
    (row,) = [k for k in admin.get("/v1/api-keys").json()["items"] if k["name"] == "leaver"]

    answer = admin.post(f"{row['links']['revoke']}", json={"by": "ada", "note": "left"})

    assert answer.status_code == 200
    assert answer.json()["revoked_at"] is not None
    assert code_of(holder) == (401, "revoked_api_key")
    # The name is free again.
    make_key(database, "leaver", "read")


def test_after_a_rotation_both_work_for_the_overlap(admin: TestClient, database: Database) -> None:
    old = make_key(database, "ci", "write")
    (row,) = [k for k in admin.get("/v1/api-keys").json()["items"] if k["name"] == "ci"]

    new = admin.post(row["links"]["rotate"], json={"overlap": 3600}).json()["key"]

    assert new != old
    assert holding(admin, old).get("/v1/models").status_code == 200
    assert holding(admin, new).get("/v1/models").status_code == 200
    with database.unit_of_work() as session:
        session.execute(
            update(ApiKey)
            .where(ApiKey.name == "ci")
            .values(previous_expires_at=datetime.now(UTC) - timedelta(seconds=1))
        )
    assert code_of(holding(admin, old)) == (401, "unknown_api_key")
    assert holding(admin, new).get("/v1/models").status_code == 200

    newest = admin.post(row["links"]["rotate"], json={"overlap": 0}).json()["key"]

    assert code_of(holding(admin, new)) == (401, "unknown_api_key")
    assert holding(admin, newest).get("/v1/models").status_code == 200


def test_use_is_written_at_most_once_a_minute(client: TestClient, database: Database) -> None:
    key = make_key(database, "reader", "read")
    written = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("UPDATE api_keys"):
            written.append(statement)

    event.listen(client.app.state.database.engine, "before_cursor_execute", note)  # type: ignore[attr-defined]

    def used() -> datetime | None:
        with database.unit_of_work() as session:
            return session.query(ApiKey).one().last_used_at

    assert used() is None
    for _ in range(5):
        assert holding(client, key).get("/v1/models").status_code == 200
    first = used()
    assert first is not None
    assert len(written) == 1

    with database.unit_of_work() as session:
        session.execute(update(ApiKey).values(last_used_at=first - timedelta(seconds=61)))
    holding(client, key).get("/v1/models")
    assert len(written) == 2
    assert (used() or first) > first


def test_failed_attempts_of_an_address_are_limited(client: TestClient, database: Database) -> None:
    good = make_key(database, "good", "read")
    fresh = make_key(database, "fresh", "read")
    assert holding(client, good).get("/v1/models").status_code == 200
    for _ in range(ALLOWED):
        assert holding(client, new_key()).get("/v1/models").status_code == 401

    response = holding(client, new_key()).get("/v1/models")

    assert response.status_code == 429
    assert response.json()["code"] == "too_many_failed_attempts"
    assert 1 <= int(response.headers["Retry-After"]) <= 60
    # A key that was not seen to work must wait as well; one that was need not.
    assert holding(client, fresh).get("/v1/models").status_code == 429
    assert holding(client, good).get("/v1/models").status_code == 200
    assert holding(client, fresh, "192.0.2.2").get("/v1/models").status_code == 200
    # Typos wait too.
    assert holding(client, "fd_typo").get("/v1/models").status_code == 429


def test_nobody_is_shut_out_for_having_no_key(client: TestClient) -> None:
    for _ in range(ALLOWED + 1):
        assert code_of(client) == (401, "missing_api_key")


SCOPE_CASES = [
    ("read", "GET", "/v1/models", True),
    ("read", "POST", "/v1/models", False),
    ("read", "GET", "/v1/webhooks", False),
    ("write", "GET", "/v1/models", True),
    ("write", "POST", "/v1/models", True),
    ("write", "GET", "/v1/api-keys", False),
    ("write", "GET", "/v1/audit-events", False),
    ("admin", "GET", "/v1/audit-events", True),
    ("admin", "POST", "/v1/models", True),
    ("metrics", "GET", "/v1/models", False),
    ("metrics", "GET", "/metrics", True),
    ("read", "GET", "/metrics", True),
]


@pytest.mark.parametrize(("scope", "method", "path", "allowed"), SCOPE_CASES)
def test_scopes(
    client: TestClient, database: Database, scope: str, method: str, path: str, allowed: bool
) -> None:
    holder = holding(client, make_key(database, "holder", scope))

    response = holder.request(method, path, json={"name": "bot"} if method == "POST" else None)

    if allowed:
        assert response.is_success, response.text
        return
    assert response.status_code == 403
    problem = response.json()
    needed = problem["required_scope"]
    assert problem["code"] == "insufficient_scope"
    assert f"scope {needed!r}" in problem["detail"]
    assert response.headers["WWW-Authenticate"] == (
        f'Bearer realm="featuredrift", error="insufficient_scope", scope="{needed}"'
    )


@pytest.mark.parametrize("scope", ["read", "write", "admin"])
def test_metrics_need_a_key_that_is_bound_to_no_model(
    client: TestClient, database: Database, scope: str
) -> None:
    bound = holding(client, make_key(database, "bound", scope, "bot"))

    assert client.get("/metrics").status_code == 401
    assert code_of(bound, "/metrics") == (403, "model_not_allowed")


def test_no_key_for_metrics_is_bound(client: TestClient, database: Database) -> None:
    admin = holding(client, make_key(database, "admin", "admin"))
    admin.post("/v1/models", json={"name": "bot"})
    bound = holding(client, make_key(database, "bound", "admin", "bot"))

    for maker, models in ((admin, ["bot"]), (bound, ["bot"]), (bound, None)):
        body = {"name": "scraper", "scope": "metrics", "models": models}
        made = maker.post("/v1/api-keys", json=body)
        assert (made.status_code, made.json()["field"]) == (422, "models")


def test_a_key_for_metrics_may_be_configured(locked: Settings) -> None:
    key = new_key()
    app = create_app(locked.model_copy(update={"metrics_key": key}))
    with TestClient(app, headers={"Authorization": f"Bearer {key}"}) as scraper:
        assert scraper.get("/metrics").status_code == 200
        assert scraper.get("/v1/models").status_code == 403


def test_the_bootstrap_key_makes_the_first_key(locked: Settings) -> None:
    key = new_key()
    app = create_app(locked.model_copy(update={"bootstrap_key": key}))
    with TestClient(app, headers={"Authorization": f"Bearer {key}"}) as first:
        made = first.post("/v1/api-keys", json={"name": "ada", "scope": "admin"})
        assert made.status_code == 201
        assert made.json()["created_by"] == "bootstrap"
    app = create_app(locked)
    with TestClient(app) as later:
        assert holding(later, key).get("/v1/models").status_code == 401
        assert holding(later, made.json()["key"]).get("/v1/models").status_code == 200


def test_on_loopback_no_key_is_needed_but_one_that_is_sent_must_work(settings: Settings) -> None:
    with TestClient(create_app(settings)) as local:
        assert local.get("/v1/models").status_code == 200
        assert local.get("/metrics").status_code == 200
        refused = holding(local, new_key()).get("/v1/models")
        assert refused.status_code == 401
        assert "FEATUREDRIFT_KEY_PEPPER" in refused.json()["detail"]
        # What a proxy in front has asked for is not for us.
        for header in ("Basic YTpi", "Bearer eyJhbGciOiJub25lIn0.e30."):
            assert local.get("/v1/models", headers={"Authorization": header}).status_code == 200


def test_the_first_key_works_at_a_server_that_ran_before_there_was_a_secret(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    here = settings.model_copy(update={"data_dir": tmp_path})
    with TestClient(create_app(here)) as running:
        assert holding(running, new_key()).get("/v1/models").status_code == 401
        (tmp_path / "key_pepper").write_text(PEPPER)
        key = make_key(database, "ada", "read")
        assert holding(running, key).get("/v1/models").status_code == 200
        assert holding(running, key).post("/v1/models", json={"name": "m"}).status_code == 403


def test_with_another_pepper_no_key_works(database: Database, locked: Settings) -> None:
    key = make_key(database, "reader", "read")
    other = locked.model_copy(update={"key_pepper": "another pepper, as long as the first"})

    with TestClient(create_app(other)) as client:
        assert holding(client, key).get("/v1/models").status_code == 401


def test_a_database_that_is_away_is_no_wrong_key(database: Database, locked: Settings) -> None:
    key = make_key(database, "reader", "read")
    away = locked.model_copy(update={"database_url": "postgresql+psycopg://127.0.0.1:1/nothing"})

    with TestClient(create_app(away), raise_server_exceptions=False) as client:
        response = holding(client, key).get("/v1/models")

    assert response.status_code == 503
    assert "Retry-After" in response.headers


def test_a_session_asks_again_whether_its_key_works(database: Database, locked: Settings) -> None:
    make_key(database, "reader", "read", "bot")
    authenticator = Authenticator(database, locked)
    with database.unit_of_work() as session:
        key = session.query(ApiKey).one().id

    principal = authenticator.principal_of_session(new_id(), key, datetime.now(UTC))

    assert principal is not None
    assert (principal.name, principal.models) == ("reader", frozenset({"bot"}))
    with database.unit_of_work() as session:
        session.execute(update(ApiKey).values(revoked_at=datetime.now(UTC)))
    assert authenticator.principal_of_session(new_id(), key, datetime.now(UTC)) is None


def test_a_forgotten_route_is_for_an_unbound_admin_only(
    database: Database, locked: Settings
) -> None:
    app = create_app(locked)

    @app.get("/v1/forgotten")
    def forgotten() -> str:
        return "seen"

    @app.get("/pages", dependencies=[require("write")])
    def page() -> str:
        return "seen"

    with TestClient(app) as client:
        for scope, models, status in (
            ("read", (), 403),
            ("write", (), 403),
            ("admin", ("bot",), 403),
            ("admin", (), 200),
        ):
            key = make_key(database, f"{scope}-{len(models)}", scope, *models)
            for path in ("/v1/forgotten", "/pages"):
                assert holding(client, key).get(path).status_code == status, (scope, models, path)
        assert client.get("/v1/forgotten").status_code == 401
        assert client.get("/pages").status_code == 401
