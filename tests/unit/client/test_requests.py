"""What is sent, what is sent again, and what is told: the wire alone is replaced."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from app.client import (
    ApiError,
    AsyncClient,
    Client,
    ClientError,
    ConfigurationError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    NotTheApiError,
    UnauthorizedError,
    UnavailableError,
    UnreachableError,
)
from app.client.protocol import Retries
from app.evaluations.schemas import EvaluationOut

MODEL = {
    "id": "019ab7d2-5c00-7000-8000-000000000001",
    "name": "bot",
    "description": None,
    "created_at": "2026-11-22T09:31:00Z",
}
EVALUATION: Any = EvaluationOut.model_config["json_schema_extra"]["examples"][0]  # type: ignore[index,call-overload]


class Wire:
    """Answers in turn, and what was asked."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = iter(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = next(self.answers)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, which take no time."""
    made: list[float] = []

    async def note(seconds: float) -> None:
        made.append(seconds)

    monkeypatch.setattr("app.client.synchronous.transport.pause", made.append)
    monkeypatch.setattr("app.client.asynchronous.transport.async_pause", note)
    monkeypatch.delenv("FEATUREDRIFT_URL", raising=False)
    monkeypatch.delenv("FEATUREDRIFT_API_KEY", raising=False)
    return made


def client(wire: Wire, **options: object) -> Client:
    return Client(transport=httpx.MockTransport(wire), **options)  # type: ignore[arg-type]


def ok(body: object = MODEL) -> httpx.Response:
    return httpx.Response(200, json=body)


def problem(status: int, code: str = "x", headers: dict[str, str] | None = None) -> httpx.Response:
    document = {"status": status, "code": code, "detail": "no", "field": "model", "value": "bto"}
    return httpx.Response(status, json=document, headers=headers)


def test_a_read_is_sent_again_after_lost_connections_and_busy_answers(pauses: list[float]) -> None:
    wire = Wire(httpx.ReadError("reset"), problem(503, headers={"Retry-After": "2"}), ok())

    assert client(wire).models.get("bot").name == "bot"

    assert len(wire.requests) == 3
    assert 0 <= pauses[0] <= 0.5
    assert 2 <= pauses[1] <= 3


def test_the_asynchronous_client_does_the_same(pauses: list[float]) -> None:
    wire = Wire(httpx.ReadError("reset"), problem(503, headers={"Retry-After": "2"}), ok())

    async def ask() -> str:
        async with AsyncClient(transport=httpx.MockTransport(wire)) as client:
            return (await client.models.get("bot")).name

    assert asyncio.run(ask()) == "bot"
    assert len(wire.requests) == 3
    assert 2 <= pauses[1] <= 3


def test_a_post_is_sent_again_under_one_idempotency_key() -> None:
    wire = Wire(httpx.ReadTimeout("slow"), problem(429), ok())

    client(wire).models.create("bot")

    keys = {request.headers["idempotency-key"] for request in wire.requests}
    assert len(wire.requests) == 3
    assert len(keys) == 1
    assert json.loads(wire.requests[0].content) == {"name": "bot"}


def test_two_posts_have_two_keys_and_a_given_one_is_kept() -> None:
    wire = Wire(problem(409), problem(409), problem(409))
    asked = client(wire)
    for key in (None, None, "mine"):
        with pytest.raises(ApiError):
            asked.evaluations.create("watch", "new", idempotency_key=key)

    first, second, third = (request.headers["idempotency-key"] for request in wire.requests)
    assert first != second
    assert third == "mine"


def test_a_change_is_sent_again_only_where_nothing_can_have_arrived() -> None:
    wire = Wire(httpx.ConnectError("refused"), httpx.ReadError("reset"))

    with pytest.raises(UnreachableError, match="reset"):
        client(wire).aliases.put("bot", "baseline", "v1", version=3)

    assert len(wire.requests) == 2
    assert wire.requests[0].headers["if-match"] == '"3"'


def test_it_gives_up_after_the_number_of_retries_that_was_asked_for() -> None:
    wire = Wire(*(problem(503) for _ in range(9)))

    with pytest.raises(UnavailableError):
        client(wire, retries=2).models.get("bot")

    assert len(wire.requests) == 3


def test_a_long_retry_after_is_not_waited_for(pauses: list[float]) -> None:
    wire = Wire(problem(429, headers={"Retry-After": "3600"}))

    with pytest.raises(ApiError) as caught:
        client(wire).models.get("bot")

    assert caught.value.status == 429
    assert pauses == []


def test_retry_after_may_be_a_date() -> None:
    request = httpx.Request("GET", "http://x")
    past = httpx.Response(503, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"})
    future = httpx.Response(503, headers={"Retry-After": "Fri, 01 Jan 2100 00:00:00 GMT"})
    nonsense = httpx.Response(503, headers={"Retry-After": "soon"})

    assert Retries().after_answer(request, future, 1) is None
    for response in (past, nonsense):
        pause = Retries().after_answer(request, response, 1)
        assert pause is not None
        assert pause <= 0.5


@pytest.mark.parametrize("status", [400, 404, 409, 422, 500])
def test_what_will_not_change_is_not_sent_again(status: int) -> None:
    wire = Wire(problem(status))

    with pytest.raises(ApiError):
        client(wire).models.get("bot")

    assert len(wire.requests) == 1


def test_an_error_carries_the_problem_document() -> None:
    with pytest.raises(NotFoundError) as caught:
        client(Wire(problem(404, "unknown_model"))).models.get("bto")

    error = caught.value
    found = (error.status, error.code, error.detail, error.field, error.value)
    assert found == (404, "unknown_model", "no", "model", "bto")


@pytest.mark.parametrize(("status", "kind"), [(401, UnauthorizedError), (403, ForbiddenError)])
def test_refused_keys_have_errors_of_their_own(status: int, kind: type[ApiError]) -> None:
    with pytest.raises(kind):
        client(Wire(problem(status)), api_key="fd_secret").models.get("bot")


def test_without_a_key_the_error_says_where_one_belongs() -> None:
    with pytest.raises(UnauthorizedError, match="FEATUREDRIFT_API_KEY"):
        client(Wire(problem(401))).models.get("bot")


def test_the_key_is_sent_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEATUREDRIFT_API_KEY", "fd_secret")
    monkeypatch.setenv("FEATUREDRIFT_URL", "https://drift.example/base/")
    wire = Wire(ok())
    asked = client(wire)

    asked.models.get("bot")

    assert wire.requests[0].headers["authorization"] == "Bearer fd_secret"
    assert str(wire.requests[0].url) == "https://drift.example/base/v1/models/bot"
    assert "fd_secret" not in repr(asked)


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "schlüssel"])
def test_a_key_that_cannot_be_one_is_refused_unshown(key: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Client(api_key=key)
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["drift.example", "ftp://x", "http://", "http://x:no", "https://u:p@h"]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Client(url)
    assert "u:p" not in str(caught.value)


def test_another_web_page_is_told_from_the_api() -> None:
    for answer in (httpx.Response(200, text="<html>hello"), httpx.Response(404, text="<html>")):
        with pytest.raises(NotTheApiError, match="is not the API of Featuredrift"):
            client(Wire(answer)).models.get("bot")


def test_a_key_does_not_follow_to_another_address() -> None:
    wire = Wire(httpx.Response(308, headers={"Location": "https://elsewhere/v1/models/bot"}))
    with pytest.raises(NotTheApiError, match="it points to 'https://elsewhere/"):
        client(wire, api_key="fd_secret").models.get("bot")
    assert len(wire.requests) == 1


def test_an_answer_of_another_version_names_the_field() -> None:
    with pytest.raises(NotTheApiError, match="created_at"):
        client(Wire(ok({**MODEL, "created_at": "never"}))).models.get("bot")


def test_new_fields_of_a_newer_service_are_no_trouble() -> None:
    assert client(Wire(ok({**MODEL, "owner": "ada"}))).models.get("bot").name == "bot"


def test_a_mistake_is_found_before_anything_is_sent() -> None:
    wire = Wire()

    with pytest.raises(InvalidInputError) as caught:
        client(wire).models.create("no spaces please")

    assert wire.requests == []
    assert caught.value.field == "name"
    assert caught.value.value == "no spaces please"


def test_names_cannot_leave_their_place_in_a_path() -> None:
    wire = Wire(ok())

    client(wire).models.get("../webhooks?x=1#y")

    assert wire.requests[0].url.raw_path == b"/v1/models/..%2Fwebhooks%3Fx%3D1%23y"


def test_pages_are_fetched_as_they_are_asked_for() -> None:
    pages = [{"items": [MODEL, MODEL], "next_cursor": "b"}, {"items": [MODEL], "next_cursor": None}]
    wire = Wire(*(ok(page) for page in pages))
    found = client(wire).models.list()

    next(found)
    assert len(wire.requests) == 1
    assert len(list(found)) == 2
    assert wire.requests[1].url.params["cursor"] == "b"


def test_a_long_poll_may_take_as_long_as_it_asks_for() -> None:
    wire = Wire(problem(404))

    with pytest.raises(NotFoundError):
        client(wire, timeout=5).evaluations.get("x", wait=30)

    assert wire.requests[0].url.params["wait"] == "30.000s"
    assert wire.requests[0].extensions["timeout"]["read"] == 35
    assert wire.requests[0].extensions["timeout"]["connect"] == 5


def test_a_server_that_does_not_wait_is_asked_again_soon(
    pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.client.synchronous.evaluations.pause", pauses.append)
    states = ("queued", "queued", "running", "succeeded")
    wire = Wire(*(ok({**EVALUATION, "state": state}) for state in states))

    assert client(wire).evaluations.wait(EVALUATION["id"]).state == "succeeded"

    assert [request.url.params.get("wait") for request in wire.requests] == [None, *["30.000s"] * 3]
    assert pauses == [1.0, 1.0]


def test_an_api_that_restarts_is_waited_for_once_it_has_answered(
    pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.client.synchronous.evaluations.pause", pauses.append)
    gone = httpx.ConnectError("refused")
    ended = ok({**EVALUATION, "state": "succeeded"})

    with pytest.raises(UnreachableError):
        client(Wire(gone), retries=0).evaluations.wait(EVALUATION["id"])
    running = ok({**EVALUATION, "state": "running"})
    found = client(Wire(running, gone, gone, ended), retries=0).evaluations.wait(EVALUATION["id"])

    assert found.state == "succeeded"


def test_a_closed_client_says_so() -> None:
    with client(Wire()) as asked:
        pass
    with pytest.raises(ClientError, match="closed"):
        asked.models.get("bot")
