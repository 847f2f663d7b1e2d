"""What holds for every resource: idempotency, preconditions, pages, limits, problem documents."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select, text, update

from app.access.tables import IdempotencyKey
from app.core.database import Database, make_engine
from app.main import create_app
from app.registry.tables import Model
from app.settings import Settings
from tests.support.api import make_checkpoint, post, register_checkpoint, register_line


def test_the_same_key_and_body_give_the_same_answer_and_one_effect(
    client: TestClient, settings: Settings, database: Database
) -> None:
    register_line(client, settings)
    register_checkpoint(client, settings, "next")
    body = {"monitor": "watch", "checkpoint": "base"}
    first = client.post("/v1/evaluations", json=body, headers={"Idempotency-Key": "k1"})
    again = client.post("/v1/evaluations", json=body, headers={"Idempotency-Key": "k1"})
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json() == first.json()
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    # Without the key the repetition is seen as what it is: an evaluation that exists.
    assert client.post("/v1/evaluations", json=body).status_code == 200


def test_a_key_used_with_another_body_is_refused(client: TestClient) -> None:
    headers = {"Idempotency-Key": "k"}
    assert client.post("/v1/models", json={"name": "a"}, headers=headers).status_code == 201
    other = client.post("/v1/models", json={"name": "b"}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert client.get("/v1/models/b").status_code == 404


def test_a_refused_request_does_not_use_up_its_key(client: TestClient, settings: Settings) -> None:
    post(client, "/v1/models", {"name": "bot"})
    headers, path = {"Idempotency-Key": "k"}, settings.allowed_roots[0] / "late"
    body = {"name": "c", "source": str(path)}
    refused = client.post("/v1/models/bot/checkpoints", json=body, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (422, "source_missing")
    make_checkpoint(path)
    retried = client.post("/v1/models/bot/checkpoints", json=body, headers=headers)
    assert retried.status_code == 201


def test_simultaneous_requests_with_one_key_have_one_effect(
    settings: Settings, database: Database
) -> None:
    app = create_app(settings)
    with TestClient(app) as client, ThreadPoolExecutor(8) as pool:

        def send(_: int) -> Any:
            headers = {"Idempotency-Key": "one"}
            return client.post("/v1/models", json={"name": "m"}, headers=headers)

        answers = list(pool.map(send, range(8)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("Idempotent-Replayed" in answer.headers for answer in answers) == 7
    with database.unit_of_work() as session:
        assert session.scalar(select(func.count()).select_from(Model)) == 1


def test_simultaneous_registrations_without_a_key_make_one_thing(settings: Settings) -> None:
    with TestClient(create_app(settings)) as client, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.post("/v1/models", json={"name": "m"}), range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]


def test_old_keys_are_forgotten(client: TestClient, database: Database) -> None:
    for key in ("old", "new"):
        client.post("/v1/models", json={"name": key}, headers={"Idempotency-Key": key})
        if key == "old":
            with database.unit_of_work() as session:
                age = func.now() - text("interval '8 days'")
                session.execute(update(IdempotencyKey).values(created_at=age))
    with database.unit_of_work() as session:
        assert session.scalars(select(IdempotencyKey.key)).all() == ["new"]


@pytest.mark.parametrize("key", ["", "a b", "x" * 256])
def test_a_bad_key_is_named(shared_client: TestClient, key: str) -> None:
    response = shared_client.post(
        "/v1/models", json={"name": "m"}, headers={"Idempotency-Key": key}
    )
    assert response.status_code == 422
    assert response.json()["field"] == "idempotency-key"


def test_an_alias_moves_only_for_those_who_saw_where_it_was(
    client: TestClient, settings: Settings
) -> None:
    register_line(client, settings)
    register_checkpoint(client, settings, "next")
    path, body = "/v1/models/bot/aliases/baseline", {"checkpoint": "next"}
    assert client.put(path, json=body).status_code == 428
    stale = client.put(path, json=body, headers={"If-Match": '"7"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "precondition_failed")
    tag = client.get(path).headers["ETag"]
    moved = client.put(path, json=body, headers={"If-Match": tag})
    assert (moved.status_code, moved.json()["checkpoint"]) == (200, "next")
    assert moved.headers["ETag"] == '"2"'
    assert client.put(path, json=body).status_code == 200  # it points there already
    assert client.delete(path).status_code == 428
    assert client.delete(path, headers={"If-Match": tag}).status_code == 412
    gone = client.delete(path, headers={"If-Match": '"2"'})
    assert (gone.status_code, gone.content) == (204, b"")
    assert client.get(path).json()["code"] == "unknown_alias"
    assert client.put(path, json=body, headers={"If-Match": '"2"'}).status_code == 412
    assert client.put(path, json=body).status_code == 201


def test_lists_are_paged_newest_first_without_gaps(client: TestClient) -> None:
    names = [f"m{i}" for i in range(5)]
    for name in names:
        post(client, "/v1/models", {"name": name})
    assert list(_walk(client, "/v1/models?limit=2")) == names[::-1]
    assert client.get("/v1/models?limit=5").json()["next_cursor"] is None
    assert client.get("/v1/models?limit=501").json()["field"] == "limit"
    bad = client.get("/v1/models?cursor=bm9uc2Vuc2U")
    assert (bad.status_code, bad.json()["code"]) == (422, "invalid_cursor")


def _walk(client: TestClient, path: str) -> Iterator[str]:
    cursor = ""
    while True:
        page = client.get(path + cursor).json()
        yield from (item["name"] for item in page["items"])
        if page["next_cursor"] is None:
            return
        cursor = f"&cursor={page['next_cursor']}"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "no_such_route"),
        ("GET", "/v1/models/none", 404, "unknown_model"),
        ("GET", "/v1/models/none/checkpoints", 404, "unknown_model"),
        ("GET", "/v1/corpora/none", 404, "unknown_corpus"),
        ("GET", "/v1/dictionaries/none", 404, "unknown_dictionary"),
        ("GET", "/v1/feature-sets/none", 404, "unknown_feature_set"),
        ("GET", "/v1/monitors/none", 404, "unknown_monitor"),
        ("GET", "/v1/monitors/none/history", 404, "unknown_monitor"),
        (
            "GET",
            "/v1/features/019ab7d2-5c00-7000-8000-000000000001/history",
            404,
            "unknown_feature",
        ),
        (
            "GET",
            "/v1/features/019ab7d2-5c00-7000-8000-000000000001/series",
            404,
            "unknown_feature",
        ),
        (
            "GET",
            "/v1/evaluations/019ab7d2-5c00-7000-8000-000000000001",
            404,
            "unknown_evaluation",
        ),
        (
            "POST",
            "/v1/evaluations/019ab7d2-5c00-7000-8000-000000000001:cancel",
            404,
            "unknown_evaluation",
        ),
        ("GET", "/v1/evaluations/seven", 422, "invalid_input"),
        ("GET", "/v1/models/%00", 422, "invalid_input"),
        ("GET", "/v1/models/a%20b", 422, "invalid_input"),
        ("DELETE", "/v1/models", 405, "method_not_allowed"),
    ],
)
def test_problems_have_a_stable_code(
    shared_client: TestClient, method: str, path: str, status: int, code: str
) -> None:
    response = shared_client.request(method, path)
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert (response.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert problem["detail"]
    assert (status == 405) == ("allow" in response.headers)


@pytest.mark.parametrize(
    ("content", "content_type", "status", "code"),
    [
        (b"{", "application/json", 400, "malformed_json"),
        (b'{"name": "a"}', "text/plain", 415, "unsupported_media_type"),
        (b'{"name": "a"}', "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        (b"[" * 100_000, "application/json", 400, "bad_request"),
        (b'{"name": "\xff"}', "application/json", 400, "bad_request"),
        (b'{"name": "a\\u0000"}', "application/json", 422, "invalid_input"),
        (b'{"name": "a", "description": "\\u0000"}', "application/json", 422, "invalid_input"),
        (b'{"name": "a", "description": "\\ud800"}', "application/json", 422, "invalid_input"),
        (b'{"name": "a", "surprise": 1}', "application/json", 422, "invalid_input"),
        (b'{"name": "%s"}' % (b"x" * 129), "application/json", 422, "invalid_input"),
        (b"null", "application/json", 422, "invalid_input"),
        (b"", "application/json", 422, "invalid_input"),
    ],
)
def test_bodies_that_cannot_be_read(
    shared_client: TestClient, content: bytes, content_type: str, status: int, code: str
) -> None:
    response = shared_client.post(
        "/v1/models", content=content, headers={"Content-Type": content_type}
    )
    assert (response.status_code, response.json()["code"]) == (status, code), response.text


def test_a_text_that_cannot_be_stored_is_found_where_it_is(shared_client: TestClient) -> None:
    response = shared_client.post("/v1/models", json={"name": "a", "description": "x\0y"})
    assert response.json()["field"] == "description"
    assert "NUL" in response.json()["detail"]


def test_a_body_over_the_limit_is_refused_whether_or_not_its_length_is_told(
    settings: Settings,
) -> None:
    small = settings.model_copy(update={"max_body_bytes": 2000})
    with TestClient(create_app(small)) as client:
        post(client, "/v1/models", {"name": "fits", "description": "x" * 1000})
        body = b'{"name": "m", "description": "' + b"x" * 2000 + b'"}'
        headers = {"Content-Type": "application/json"}
        declared = client.post("/v1/models", content=body, headers=headers)
        streamed = client.post(
            "/v1/models", content=iter([body[:1000], body[1000:]]), headers=headers
        )
        lines = {"Content-Type": "application/jsonl"}
        corpus = client.post("/v1/corpora?name=c", content=iter([body, body]), headers=lines)
    for response in (declared, streamed, corpus):
        assert response.status_code == 413
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["code"] == "body_too_large"


def test_postgres_gone_is_503_and_work_resumes_when_it_is_back(
    settings: Settings, postgres_url: str
) -> None:
    name = settings.database_url.partition("?")[0].rpartition("/")[2]
    server = make_engine(
        settings.model_copy(update={"database_url": postgres_url}), application="test"
    ).execution_options(isolation_level="AUTOCOMMIT")
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        post(client, "/v1/models", {"name": "before"})
        with server.connect() as connection:
            connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
            connection.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :n"),
                {"n": name},
            )
            away = client.get("/v1/models/before")
            written = client.post("/v1/models", json={"name": "during"})
            ready = client.get("/readyz")
            alive = client.get("/healthz")
            connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true"))
        for response in (away, written, ready):
            assert (response.status_code, response.json()["code"]) == (503, "unavailable")
            assert int(response.headers["Retry-After"]) > 0
        assert alive.status_code == 200
        assert client.get("/v1/models/before").status_code == 200
        assert client.get("/readyz").json() == {"status": "ok"}
    server.dispose()


@pytest.mark.parametrize(
    ("revision", "status"),
    [("0009", 503), ("9999_of_a_later_release", 200)],
    ids=["of the last release", "of a later release"],
)
def test_an_older_schema_is_not_ready_and_a_later_one_is(
    client: TestClient, database: Database, revision: str, status: int
) -> None:
    """While processes are upgraded one by one, the old ones still work on the new schema."""
    assert client.get("/readyz").status_code == 200
    with database.unit_of_work() as session:
        session.execute(
            text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision}
        )
    response = client.get("/readyz")
    assert response.status_code == status
    assert response.json().get("code") == (None if status == 200 else "schema_outdated")
