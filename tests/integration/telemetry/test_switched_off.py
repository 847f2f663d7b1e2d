"""What tracing costs a process that does not want it, or cannot have it."""

import json
import os
import subprocess
import sys

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
