"""Names of requests and traces: what is accepted, what is bound, what a trace costs when off."""

from collections.abc import Callable

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from app.core import correlation
from app.core.correlation import Correlation, accept_request_id, accept_traceparent

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    "given", ["a", "deploy-7/step:4000", "a" * 128, "0f8b=", "user@host+1", "9.9_9"]
)
def test_a_callers_id_is_kept(given: str) -> None:
    assert accept_request_id(given) == given


@pytest.mark.parametrize(
    "given",
    [None, "", "a" * 129, "a b", "a\nforged line", "-a", 'a"b', "é", "a\x00", "{}", "a;b", " a"],
)
def test_an_id_that_could_forge_something_is_replaced(given: str | None) -> None:
    made = accept_request_id(given)
    assert made != given
    assert len(made) == 32
    assert made.isalnum()
    assert accept_request_id(given) != made


@given(st.text(max_size=200))
def test_whatever_is_given_the_id_is_short_printable_ascii(given: str) -> None:
    accepted = accept_request_id(given)
    assert 1 <= len(accepted) <= 128
    assert accepted.isascii()
    assert accepted.isprintable()


# https://www.w3.org/TR/trace-context/#examples-of-http-traceparent-headers, and its test suite.
@pytest.mark.parametrize(
    ("given", "accepted"),
    [
        (f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-01"),
        (f"00-{TRACE}-{PARENT}-00", f"00-{TRACE}-{PARENT}-00"),
        (f"00-{TRACE}-{PARENT}-03", f"00-{TRACE}-{PARENT}-01"),
        (f"cc-{TRACE}-{PARENT}-01-what-the-future-brings", f"00-{TRACE}-{PARENT}-01"),
        (f"cc-{TRACE}-{PARENT}-01.what", None),
        (f"ff-{TRACE}-{PARENT}-01", None),
        (f"00-{TRACE}-{PARENT}-01-more", None),
        (f"00-{TRACE}-{PARENT}-01-", None),
        (f"00-{'0' * 32}-{PARENT}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE.upper()}-{PARENT}-01", None),
        (f"00-{TRACE[:-1]}-{PARENT}-01", None),
        (f"0-{TRACE}-{PARENT}-01", None),
        (f"00-{TRACE}-{PARENT}-1", None),
        (f"00-{TRACE}-{PARENT}", None),
        (f"00-{TRACE}-{PARENT}-0g", None),
        ("", None),
        (None, None),
    ],
)
def test_traceparent_by_the_recommendation(given: str | None, accepted: str | None) -> None:
    assert accept_traceparent(given) == accepted


def test_a_block_bears_its_cause_and_leaves_the_one_before() -> None:
    outer, inner = Correlation("outer", None), Correlation("inner", f"00-{TRACE}-{PARENT}-01")

    def bound() -> dict[str, object]:
        return structlog.contextvars.get_contextvars()

    with correlation.correlated(outer, shard="1"):
        with correlation.correlated(inner, shard="2"):
            assert correlation.current() == inner
            assert bound() == {"request_id": "inner", "trace_id": TRACE, "shard": "2"}
        assert correlation.current() == outer
        assert bound() == {"request_id": "outer", "shard": "1"}
    assert correlation.current() == Correlation()
    assert bound() == {}


def test_a_span_costs_next_to_nothing_when_off() -> None:
    from app.core.telemetry import span

    made: Callable[[], object] = lambda: span("capture", tokens=1)  # noqa: E731
    assert made() is made()
