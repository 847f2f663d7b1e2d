"""Names of requests and traces: what is accepted, what is bound, what a trace costs when off."""

import json
import subprocess
import sys
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


_OFF = """
import json, os, sys
from app.core import telemetry
import app.main, app.evaluations.dispatcher
# FastAPI imports OpenTelemetry's interfaces, and redis-py its metrics, for themselves.
parts = ("sdk.trace", "exporter", "proto")
heavy = ("google.protobuf", *(f"opentelemetry.{part}" for part in parts))
for environment in json.loads(sys.argv[1]):
    os.environ.update(environment)
    assert not telemetry.configure_telemetry("featuredrift-test"), environment
    first = telemetry.span("a", shard=1)
    with first as span:
        span.set(tokens=1); span.fail("x"); span.rename("y")
        assert span.traceparent is None
    assert telemetry.span("b") is first
    telemetry.current_span().set(tokens=1)
    telemetry.close_telemetry()
    found = [name for name in sys.modules if name.startswith(heavy)]
    assert not found, (environment, found)
    for name in environment:
        del os.environ[name]
"""


def _environment(**values: str) -> dict[str, str]:
    import os

    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return kept | values


def test_without_an_endpoint_nothing_of_opentelemetry_is_imported() -> None:
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    environments = [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {**endpoint, "OTEL_SDK_DISABLED": "true"},
        {**endpoint, "OTEL_TRACES_EXPORTER": "none"},
    ]
    found = subprocess.run(
        [sys.executable, "-c", _OFF, json.dumps(environments)],
        capture_output=True,
        text=True,
        env=_environment(),
    )
    assert found.returncode == 0, found.stderr


_MISSING = """
import sys
sys.modules["opentelemetry.sdk.trace"] = None
from app.core import telemetry
from app.core.logging import configure_logging
configure_logging(json_lines=True)
assert not telemetry.configure_telemetry("featuredrift-test")
with telemetry.span("a") as span:
    assert span.traceparent is None
"""


def test_an_endpoint_without_the_packages_costs_one_line_that_says_what_to_do() -> None:
    found = subprocess.run(
        [sys.executable, "-c", _MISSING],
        capture_output=True,
        text=True,
        env=_environment(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9"),
    )
    assert found.returncode == 0, found.stderr
    assert len(found.stderr.splitlines()) == 1
    assert "featuredrift[otel]" in found.stderr


def test_a_span_costs_next_to_nothing_when_off() -> None:
    from app.core.telemetry import span

    made: Callable[[], object] = lambda: span("capture", tokens=1)  # noqa: E731
    assert made() is made()
