"""What every answer says to browsers, and what the API does not let itself be sent."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from app.access.rules import RULES
from app.core.reachable import listen
from app.core.security_headers import COMMON
from app.main import create_app
from app.registry.routes import corpora as corpora_routes
from app.settings import Settings
from tests.support.api import DOCUMENTS

ADMIN = "fd_00000000000000000000000000000000000000000000000026355193"
NOWHERE: dict[str, Any] = {
    **dict.fromkeys(
        ("evaluation", "repair", "alert", "webhook", "delivery", "key", "feature"),
        "00000000-0000-7000-8000-000000000000",
    ),
    "version": 1,
    "number": 1,
}


class _Any(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "x"


@pytest.mark.parametrize("with_key", [True, False])
def test_every_answer_of_every_route_says_what_browsers_may_do(
    settings: Settings, with_key: bool
) -> None:
    locked = settings.model_copy(
        update={
            "require_keys": True,
            "key_pepper": "a pepper of tests " * 2,
            "bootstrap_key": ADMIN,
            "public_url": "https://drift.example",
        }
    )
    headers = {"Authorization": f"Bearer {ADMIN}"} if with_key else {}
    with TestClient(
        create_app(locked), raise_server_exceptions=False, headers=headers, follow_redirects=False
    ) as client:
        paths = [*RULES, "GET /nowhere", "GET /v1/nowhere", "GET /openapi.json", "GET /docs"]
        for route in paths:
            method, template = route.split()
            answer = client.request(method, template.format_map(_Any(NOWHERE)))
            missing = [name for name in COMMON if name not in answer.headers]
            assert missing == [], (route, answer.status_code)
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy, route
            assert "frame-ancestors 'none'" in policy, route
            assert "'unsafe-inline'" not in policy.partition("script-src")[2].partition(";")[0]
            assert answer.headers["Strict-Transport-Security"]
            assert "server" not in answer.headers


def test_an_unexpected_error_says_it_too(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(settings)
    monkeypatch.setattr("app.registry.repository.models.list_models", None)
    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.get("/v1/models")
    assert answer.status_code == 500
    assert set(COMMON) <= {name.title() for name in answer.headers} | set(COMMON)
    assert answer.headers["Content-Security-Policy"] == COMMON["Content-Security-Policy"]


def test_other_origins_are_told_nothing(client: TestClient) -> None:
    """CORS is closed: no answer, and no preflight, allows another origin anything."""
    asked = {
        "Origin": "https://evil.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    for answer in (
        client.options("/v1/models", headers=asked),
        client.get("/v1/models", headers={"Origin": "https://evil.example"}),
        client.get("/v1/models", headers={"Origin": "null"}),
        client.get("/healthz", headers={"Origin": "https://evil.example"}),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_without_keys_no_page_of_another_site_changes_anything(
    client: TestClient, headers: dict[str, str]
) -> None:
    answer = client.post("/v1/models", json={"name": "bot"}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "foreign_origin")
    assert client.get("/v1/models").json()["items"] == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://testserver", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_own_pages_and_programs_do(client: TestClient, headers: dict[str, str]) -> None:
    assert client.post("/v1/models", json={"name": "bot"}, headers=headers).status_code == 201


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8321", 200),
        ("127.0.0.1:8321", 200),
        ("[::1]:8321", 200),
        ("api", 200),
        ("drift.localhost", 200),
        ("drift.example:8321", 200),  # the public URL's
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("[::1", 421),
    ],
)
def test_without_keys_it_answers_under_its_own_names_only(
    settings: Settings, host: str, status: int
) -> None:
    """A web site that points its own name at a loopback address (DNS rebinding) reads nothing."""
    named = settings.model_copy(update={"public_url": "http://drift.example:8321"})
    with TestClient(create_app(named)) as client:
        assert client.get("/v1/models", headers={"Host": host}).status_code == status


def test_where_keys_are_needed_they_decide(settings: Settings) -> None:
    locked = settings.model_copy(
        update={"require_keys": True, "key_pepper": "a pepper " * 5, "bootstrap_key": ADMIN}
    )
    with TestClient(create_app(locked), headers={"Host": "drift.example"}) as client:
        assert client.get("/v1/models").status_code == 401
        key = {"Authorization": f"Bearer {ADMIN}"}
        assert client.get("/v1/models", headers=key).status_code == 200


@pytest.mark.parametrize("depth", [65, 900, 100_000])
def test_json_that_is_nested_deeply_is_refused(client: TestClient, depth: int) -> None:
    deep = "[" * depth + "]" * depth
    for path, body in (
        ("/v1/corpora", f'{{"name": "c", "documents": {deep}}}'),
        ("/v1/models", f'{{"name": {deep}}}'),
        ("/v1/models", deep),
    ):
        answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in {400, 422}, answer.text


def test_only_corpora_and_feature_sets_may_be_large(client: TestClient) -> None:
    large = "x" * (2 << 20)
    refused = client.post("/v1/models", json={"name": "m", "description": large})
    assert (refused.status_code, refused.json()["code"]) == (413, "body_too_large")
    documents = [{"id": "a", "text": large}, *DOCUMENTS[1:]]
    assert client.post("/v1/corpora", json={"name": "c", "documents": documents}).status_code == 201


def test_small_things_by_the_million_are_refused_before_they_take_memory(
    client: TestClient,
) -> None:
    body = b'{"name": "z", "features": [' + b"[]," * 500_000 + b"[]]}"
    refused = client.post(
        "/v1/feature-sets", content=body, headers={"Content-Type": "application/json"}
    )
    assert (refused.status_code, refused.json()["code"]) == (413, "body_too_large")
    assert "500000 lists, objects and keys" in refused.json()["detail"]


def test_large_bodies_are_worked_on_one_at_a_time(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The memory of one is bounded, that of all who send them at once would not be."""
    at_work, most = 0, 0
    parse = corpora_routes.parse_jsonl

    def slowly(body: bytes) -> Any:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        time.sleep(0.2)
        at_work -= 1
        return parse(body)

    monkeypatch.setattr(corpora_routes, "parse_jsonl", slowly)

    def post(number: int) -> int:
        rows = [{"id": "a", "text": "x" * (1 << 20)}, {"id": "b", "text": f"number {number}"}]
        body = "\n".join(map(json.dumps, rows))
        headers = {"Content-Type": "application/jsonl"}
        return client.post(f"/v1/corpora?name=c{number}", content=body, headers=headers).status_code

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(post, range(4))) == [201] * 4
    assert most == 1
    # A failure gives the turn back, too.
    assert client.post("/v1/corpora", content=b"x" * (2 << 20)).status_code == 415
    assert post(5) == 201


@pytest.fixture
def hurried(settings: Settings) -> Iterator[tuple[str, int]]:
    """A real server, as a process, that waits for half a second."""
    listener = listen("127.0.0.1", 0)
    address = listener.getsockname()
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "api", "--listen-fd", str(listener.fileno())],
        pass_fds=[listener.fileno()],
        env={
            **os.environ,
            "DATABASE_URL": settings.database_url,
            "FEATUREDRIFT_DATA_DIR": str(settings.data_dir),
            "FEATUREDRIFT_HEADER_TIMEOUT": "0.5",
            "FEATUREDRIFT_BODY_TIMEOUT": "0.5",
        },
        stderr=subprocess.DEVNULL,
    )
    listener.close()
    try:
        with httpx.Client(timeout=60) as client:
            assert client.get(f"http://127.0.0.1:{address[1]}/healthz").status_code == 200
        yield address
    finally:
        process.kill()
        process.wait()


def test_who_sends_headers_slowly_is_hung_up_on(hurried: tuple[str, int]) -> None:
    for sent in (b"", b"GET /healthz HTT", b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-A: "):
        with socket.create_connection(hurried, timeout=20) as connection:
            began = time.monotonic()
            with suppress(OSError):
                connection.sendall(sent)
                while time.monotonic() - began < 15:
                    # A byte now and then, which resets timers that only look at pauses.
                    if sent.endswith(b" "):
                        connection.sendall(b"a")
                    connection.settimeout(0.1)
                    try:
                        answer = connection.recv(100)
                    except TimeoutError:
                        continue
                    assert answer == b""
                    break
                else:
                    pytest.fail(f"still connected after {sent!r}")


def test_a_second_request_on_a_connection_is_timed_too(hurried: tuple[str, int]) -> None:
    with socket.create_connection(hurried, timeout=20) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = b""
        while not answer.endswith(b"}"):
            answer += connection.recv(4096)
        assert answer.startswith(b"HTTP/1.1 200")
        connection.sendall(b"GET /healthz HTTP/1.1\r\nX")
        assert connection.recv(4096) == b""


def test_who_sends_a_body_slowly_is_told_so(hurried: tuple[str, int]) -> None:
    head = (
        b"POST /v1/models HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b'Content-Length: 100\r\n\r\n{"na'
    )
    with socket.create_connection(hurried, timeout=20) as connection:
        connection.sendall(head)
        answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"body_too_slow" in answer or answer.endswith(b"\r\n\r\n")


def test_headers_without_end_are_refused(hurried: tuple[str, int]) -> None:
    with socket.create_connection(hurried, timeout=20) as connection:
        with suppress(OSError):
            connection.sendall(b"GET /healthz HTTP/1.1\r\nX-A: " + b"a" * (1 << 20))
        with suppress(OSError):
            assert not connection.recv(4096).startswith(b"HTTP/1.1 200")
