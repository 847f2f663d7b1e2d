"""Pieces that every endpoint is made of."""

import json
import threading
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.core.errors import (
    InvalidInputError,
    PreconditionFailedError,
    PreconditionRequiredError,
)
from app.core.etags import etag
from app.core.ids import new_id
from app.core.paging import decode_cursor, encode_cursor, make_page
from app.core.preconditions import check_if_match
from app.core.problems import install_problem_handlers
from app.core.text import find_text_fault, text_fault
from app.core.waiting import MAX_WAITING, Waiting, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 30), ("30s", 30), ("1.5m", 90), ("250ms", 0.25), ("2h", 7200), ("0", 0)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "-1", "1e3", "inf", "nan", "s", "30 s", "1d", "٣"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(InvalidInputError, match="no duration"):
        parse_duration(text)


def test_waiting_reads_again_until_it_is_decided() -> None:
    readings = iter([1, 2, 3, 4])
    seen = Waiting(60).until(lambda value: value == 3, lambda: next(readings), "5s")
    assert (seen, next(readings)) == (3, 4)


def test_waiting_ends_with_the_last_reading_when_time_is_up() -> None:
    assert Waiting(0.05).until(lambda _: False, lambda: "open", "2h") == "open"


def test_without_a_wish_to_wait_it_reads_once() -> None:
    readings = iter([1, 2])
    assert Waiting(60).until(lambda _: False, lambda: next(readings), None) == 1
    assert next(readings) == 2


def test_a_closing_application_keeps_nobody_waiting() -> None:
    waiting = Waiting(3600)
    waiting.close()
    assert waiting.until(lambda _: False, lambda: "open", "1h") == "open"


def test_past_the_limit_of_waiting_requests_answers_come_at_once() -> None:
    waiting = Waiting(3600)
    inside = threading.Semaphore(0)

    def read() -> str:
        inside.release()
        return "open"

    threads = [
        threading.Thread(target=waiting.until, args=(lambda _: False, read, "1h"))
        for _ in range(MAX_WAITING)
    ]
    for thread in threads:
        thread.start()
    for _ in range(2 * MAX_WAITING):  # a second reading is made by those who wait
        inside.acquire()
    assert waiting.until(lambda _: False, lambda: "at once", "1h") == "at once"
    waiting.close()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


class Position(NamedTuple):
    """Of a page."""

    score: float
    name: str


@given(st.floats(allow_nan=False), st.text(st.characters(exclude_categories=["Cs"])))
def test_a_cursor_gives_back_its_position(score: float, name: str) -> None:
    assert decode_cursor(encode_cursor(Position(score, name)), Position) == (score, name)


def test_a_cursor_of_an_id() -> None:
    identity = new_id()
    assert decode_cursor(encode_cursor(identity), UUID) == identity
    assert decode_cursor(None, UUID) is None


@given(st.text(max_size=50))
def test_a_cursor_that_was_not_made_here_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="cursor"):
        decode_cursor(text, UUID)


def test_a_page_is_cut_where_the_extra_row_says_there_is_more() -> None:
    assert make_page([1, 2], 2, lambda row: row) == ([1, 2], None)
    page, following = make_page([1, 2, 3], 2, lambda row: row)
    assert page == [1, 2]
    assert decode_cursor(following, int) == 2


def test_if_match() -> None:
    check_if_match(etag(3), 3)
    check_if_match('"1", "3"', 3)
    check_if_match("*", 3)
    check_if_match(None, 3, required=False)
    with pytest.raises(PreconditionRequiredError):
        check_if_match(None, 3)
    with pytest.raises(PreconditionFailedError):
        check_if_match(etag(2), 3)
    with pytest.raises(PreconditionFailedError):
        check_if_match('W/"3"', 3)  # a weak tag never matches strongly (RFC 9110, 8.8.3.2)


def test_texts_that_cannot_be_stored() -> None:
    assert text_fault("plain é 🙂") is None
    assert "NUL" in str(text_fault("a\0b"))
    assert "U+D800" in str(text_fault("a\ud800b"))
    found = find_text_fault({"a": [1, {"b": "x\0"}]})
    assert found is not None
    assert found[0] == ("a", 1, "b")
    assert find_text_fault({"\0": 1}) is not None
    assert find_text_fault({"a": [1.5, None, True, ["fine"]]}) is None


class Unreachable(Exception):  # noqa: N818 - stands for a driver's error
    """What a driver might say, with something that no caller should see."""


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (OperationalError("SELECT 1", {}, Unreachable("secret-host")), 503, "unavailable"),
        (PoolTimeoutError("QueuePool limit"), 503, "unavailable"),
        (InvalidInputError("no", field="x", value=float("nan")), 422, "invalid_input"),
        (InvalidInputError("no", field="x", value="\ud800"), 422, "invalid_input"),
        (ZeroDivisionError("a detail of the code"), 500, "internal_error"),
    ],
)
def test_every_error_is_a_problem_document(error: Exception, status: int, code: str) -> None:
    app = FastAPI()
    install_problem_handlers(app)

    @app.get("/fails")
    def fails() -> None:
        raise error

    response = TestClient(app, raise_server_exceptions=False).get("/fails")
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert ("retry-after" in response.headers) == (status == 503)
    problem: dict[str, Any] = json.loads(response.content, parse_constant=pytest.fail)
    assert (problem["code"], problem["status"]) == (code, status)
    assert problem["type"] == f"urn:featuredrift:problem:{code}"
    assert "secret" not in response.text
    assert "detail of the code" not in response.text
