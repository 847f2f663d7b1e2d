"""What the API says of its requests: ids, lines, metrics; and what it never says."""

import json
import logging
from collections.abc import Iterator
from io import StringIO

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.exc import OperationalError

from app.core.logging import configure_logging
from app.main import create_app
from app.settings import Settings

DURATION = "featuredrift_http_request_duration_seconds"


@pytest.fixture
def logged() -> Iterator[StringIO]:
    """What a process with these settings writes to its stderr."""
    root = logging.getLogger()
    before = root.handlers, root.level
    configure_logging("info", process="api", json_lines=True)
    stream = StringIO()
    (handler,) = root.handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(stream)
    yield stream
    root.handlers, root.level = before
    logging.captureWarnings(capture=False)


@pytest.fixture
def client(settings: Settings, logged: StringIO) -> Iterator[TestClient]:
    """A client of the application; its errors come back as answers."""
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


def _samples(client: TestClient, name: str) -> dict[tuple[str, ...], float]:
    text = client.get("/metrics").text
    return {
        tuple(sample.labels[key] for key in sorted(sample.labels)): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


def _lines(logged: StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in logged.getvalue().splitlines()]


def test_requests_are_timed_by_route_template(client: TestClient) -> None:
    for name in ("a", "b", "c"):
        client.get(f"/v1/models/{name}")
    client.get("/v1/models")
    client.get("/healthz")
    counts = _samples(client, f"{DURATION}_count")
    assert counts[("GET", "/v1/models/{model}", "404")] == 3
    assert counts[("GET", "/v1/models", "200")] == 1
    assert counts[("GET", "/healthz", "200")] == 1
    # The request that asks is under way itself, and counted the next time.
    assert _samples(client, "featuredrift_http_requests_in_progress") == {(): 1}
    assert _samples(client, f"{DURATION}_count")[("GET", "/metrics", "200")] == 2
    assert not _samples(client, f"{DURATION}_created")


def test_labels_stay_few_whatever_is_asked(client: TestClient) -> None:
    for number in range(50):
        client.get(f"/nowhere/{number}")
        client.request(f"M{number}", "/v1/models")
        client.get(f"/v1/models/m{number}/checkpoints/c{number}")
    counts = _samples(client, f"{DURATION}_count")
    assert counts[("GET", "unmatched", "404")] == 50
    assert counts[("other", "/v1/models", "405")] == 50
    assert len(counts) <= 5


def test_a_body_over_the_limit_and_a_crash_have_names_too(
    settings: Settings, logged: StringIO
) -> None:
    small = settings.model_copy(update={"max_body_bytes": 1024})
    app = create_app(small)

    @app.get("/crash")
    def crash() -> None:
        raise ZeroDivisionError

    @app.get("/away")
    def away() -> None:
        raise OperationalError("SELECT 1", {}, Exception("gone"))

    with TestClient(app, raise_server_exceptions=False) as client:
        for method, path, status in (
            ("POST", "/v1/models", 413),
            ("GET", "/crash", 500),
            ("GET", "/away", 503),
        ):
            response = client.request(
                method,
                path,
                content=b"x" * (2000 if status == 413 else 0),
                headers={"X-Request-ID": f"named-{status}"},
            )
            assert response.status_code == status
            assert response.headers["x-request-id"] == f"named-{status}"
            assert response.json()["request_id"] == f"named-{status}"
        counts = _samples(client, f"{DURATION}_count")
    assert counts[("GET", "/crash", "500")] == 1
    lines = [line for line in _lines(logged) if line["event"] == "request"]
    by_id = {line["request_id"]: line for line in lines}
    assert by_id["named-500"]["level"] == "error"
    assert by_id["named-413"]["level"] == "info"


def test_an_id_that_forges_a_line_is_replaced(client: TestClient, logged: StringIO) -> None:
    forged = 'x"},{"event":"request"'
    response = client.get("/v1/models", headers={"X-Request-ID": forged})
    made = response.headers["x-request-id"]
    assert made != forged
    assert [line["request_id"] for line in _lines(logged) if line["event"] == "request"] == [made]


def test_each_request_has_an_id_of_its_own(client: TestClient) -> None:
    seen = {client.get("/healthz").headers["x-request-id"] for _ in range(20)}
    assert len(seen) == 20


def test_neither_path_nor_query_nor_body_is_logged(client: TestClient, logged: StringIO) -> None:
    secret = "s3cr3t"
    headers = {"Authorization": secret, "Idempotency-Key": secret, "Cookie": secret}
    body = {"name": secret, "description": secret}
    client.post("/v1/models", params={"key": secret}, json=body, headers=headers)
    client.get(f"/v1/models/{secret}", params={"key": secret}, headers=headers)
    client.post("/v1/models", content=secret, headers=headers)
    text = logged.getvalue()
    assert len(text.splitlines()) == 3
    assert secret not in text


def test_probes_are_lines_at_debug_only(client: TestClient, logged: StringIO) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        client.get(path)
    assert not [line for line in _lines(logged) if line["event"] == "request"]


def test_metrics_are_served_with_and_without_the_exporters(settings: Settings) -> None:
    with TestClient(create_app(settings)) as client:
        alone = client.get("/metrics").text
    embedded = settings.model_copy(update={"metrics_in_api": True})
    with TestClient(create_app(embedded)) as client:
        both = client.get("/metrics").text
        accept = {"accept": "application/openmetrics-text; version=1.0.0"}
        open_metrics = client.get("/metrics", headers=accept)
    assert "featuredrift_exporter_up" not in alone
    for text in (alone, both):
        assert "featuredrift_http_requests_in_progress" in text
        assert "process_cpu_seconds_total" in text
    assert "featuredrift_exporter_up" in both
    assert open_metrics.text.endswith("# EOF\n")
    assert open_metrics.headers["content-type"].startswith("application/openmetrics-text")
