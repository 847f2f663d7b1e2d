"""One request, followed through the logs and the traces of three real processes."""

import json
import os
from typing import Any

import pytest
from sqlalchemy import select

from app.evaluations.tables import Evaluation, Shard
from tests.integration.telemetry.conftest import (
    CALLERS_SPAN,
    PROCESSES,
    TRACE_ID,
    Deployment,
)
from tests.support.deployment import wait_for
from tests.support.models import save_checkpoint

REQUEST_ID = "deploy-7/step:4000"
SECRET = "s3cr3t-of-the-caller"


@pytest.fixture(scope="module")
def ended(deployment: Deployment, watched: tuple[str, str]) -> Evaluation:
    """The evaluation that one request with names of its own has caused, succeeded."""
    source = save_checkpoint(deployment.settings.allowed_roots[0] / "other", seed=1)
    response = deployment.client.post(
        f"/v1/models/{watched[0]}/checkpoints",
        params={"token": SECRET},
        json={"name": "other", "source": str(source), "note": SECRET},
        headers={
            "X-Request-ID": REQUEST_ID,
            "traceparent": f"00-{TRACE_ID}-{CALLERS_SPAN}-01",
            "Authorization": f"Bearer {SECRET}",
        },
    )
    assert response.status_code == 202, response.text
    assert response.headers["x-request-id"] == REQUEST_ID
    assert response.headers["traceparent"].split("-")[1] == TRACE_ID
    evaluation_id = response.json()["evaluations"][0]
    evaluation = deployment.world.wait(evaluation_id)
    assert evaluation.state == "succeeded", evaluation.error
    return evaluation


def test_the_rows_of_a_request_bear_its_id(deployment: Deployment, ended: Evaluation) -> None:
    with deployment.world.database.unit_of_work() as session:
        shards = session.scalars(select(Shard)).all()
    assert ended.request_id == REQUEST_ID
    assert {shard.kind for shard in shards} == {"plan", "capture", "compare"}
    assert {shard.request_id for shard in shards} == {REQUEST_ID}
    assert {(shard.traceparent or "").split("-")[1] for shard in shards} == {TRACE_ID}


def test_the_api_logs_one_line_a_request(deployment: Deployment, ended: Evaluation) -> None:
    lines = [line for line in deployment.lines_of("api", REQUEST_ID) if line["event"] == "request"]
    assert len(lines) == 1
    line = lines[0]
    assert line.pop("ms") > 0
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "request",
        "level": "info",
        "logger": "app.access_log",
        "process": "api",
        "method": "POST",
        "route": "/v1/models/{model}/checkpoints",
        "status": 202,
        "request_id": REQUEST_ID,
        "trace_id": TRACE_ID,
    }


def test_the_dispatcher_names_the_request_for_each_shard(
    deployment: Deployment, ended: Evaluation
) -> None:
    lines = deployment.lines_of("dispatcher", REQUEST_ID)
    with deployment.world.database.unit_of_work() as session:
        shards = {str(shard) for shard in session.scalars(select(Shard.id))}
    announced = {line["shard"] for line in lines if line["event"] == "shard announced"}
    assert announced == shards
    assert {line["trace_id"] for line in lines} == {TRACE_ID}


def test_the_worker_names_what_it_works_on(
    deployment: Deployment, ended: Evaluation, watched: tuple[str, str]
) -> None:
    lines = deployment.lines_of("worker", REQUEST_ID)
    claimed = [line for line in lines if line["event"] == "shard claimed"]
    assert {line["kind"] for line in claimed} == {"plan", "capture", "compare"}
    for line in claimed:
        assert (line["model"], line["monitor"]) == watched
        assert line["evaluation"] == str(ended.id)
        assert (line["attempt"], line["trace_id"], line["process"]) == (1, TRACE_ID, "worker")
    left = {line["shard"] for line in lines if line["event"] == "shard left"}
    assert left == {line["shard"] for line in claimed}


def test_no_log_holds_what_a_caller_sent_or_a_line_that_is_not_json(
    deployment: Deployment, ended: Evaluation
) -> None:
    for process in PROCESSES:
        lines = deployment.lines(process)
        assert lines
        assert SECRET not in json.dumps(lines)
        assert {line["process"] for line in lines} == {process}
        assert all({"event", "level", "logger", "timestamp"} <= set(line) for line in lines)


def test_celerys_and_uvicorns_lines_have_the_same_form(
    deployment: Deployment, ended: Evaluation
) -> None:
    assert any(line["logger"].startswith("celery.") for line in deployment.lines("worker"))
    assert any(line["logger"].startswith("uvicorn") for line in deployment.lines("api"))


def test_a_problem_bears_the_request_and_the_trace(deployment: Deployment) -> None:
    headers = {"X-Request-ID": "mine-1", "traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"}
    response = deployment.client.get("/v1/models/none", headers=headers)
    assert response.status_code == 404
    problem: dict[str, Any] = response.json()
    assert (problem["request_id"], problem["trace_id"]) == ("mine-1", "ab" * 16)
    assert response.headers["x-request-id"] == "mine-1"


def test_one_trace_spans_request_dispatcher_and_the_workers_stages(
    deployment: Deployment, ended: Evaluation
) -> None:
    # What the exporter still holds is sent soon, or at the end of a process.
    stages = {"plan", "capture", "compare", "judge"}
    wait_for(lambda: stages <= {span.name for span in deployment.receiver.of_trace(TRACE_ID)})
    spans = deployment.receiver.of_trace(TRACE_ID)
    assert deployment.receiver.paths == {"/v1/traces"}
    by_id = {span.span_id: span for span in spans}
    roots = [span for span in spans if span.parent_id not in by_id]
    assert [root.name for root in roots] == ["POST /v1/models/{model}/checkpoints"]
    assert roots[0].parent_id == CALLERS_SPAN
    assert {span.service for span in spans} == {
        "featuredrift-api",
        "featuredrift-dispatcher",
        "featuredrift-worker",
    }
    for name in ("plan", "capture", "compare"):
        for span in (span for span in spans if span.name == name):
            assert by_id[span.parent_id].name == "publish"
            assert span.attributes["featuredrift.evaluation"] == str(ended.id)
            assert not span.failed
    judge = next(span for span in spans if span.name == "judge")
    assert by_id[judge.parent_id].name == "compare"
    assert judge.attributes["featuredrift.features"] == 6
    assert judge.attributes["featuredrift.tokens"] > 100
    captures = [span for span in spans if span.name == "capture"]
    assert all(span.attributes["featuredrift.tokens"] > 0 for span in captures)
    assert roots[0].attributes["http.response.status_code"] == 202


def test_an_evaluation_that_fails_is_followed_too(
    deployment: Deployment, watched: tuple[str, str], ended: Evaluation
) -> None:
    source = save_checkpoint(deployment.settings.allowed_roots[0] / "gone", seed=2)
    response = deployment.client.post(
        f"/v1/models/{watched[0]}/checkpoints", json={"name": "gone", "source": str(source)}
    )
    made = response.headers["x-request-id"]
    os.truncate(source / "model.safetensors", 100)
    evaluation = deployment.world.wait(response.json()["evaluations"][0])
    assert evaluation.state == "failed"
    warned = [line for line in deployment.lines_of("worker", made) if line["level"] == "warning"]
    assert [line["evaluation"] for line in warned] == [str(evaluation.id)]
    trace_id = response.headers["traceparent"].split("-")[1]
    wait_for(lambda: any(span.failed for span in deployment.receiver.of_trace(trace_id)))


def test_a_retry_is_caused_by_the_request_that_asked_for_it(
    deployment: Deployment, watched: tuple[str, str], ended: Evaluation
) -> None:
    with deployment.world.database.unit_of_work() as session:
        failed = session.scalars(select(Evaluation).where(Evaluation.state == "failed")).one()
    response = deployment.client.post(
        f"/v1/evaluations/{failed.id}:retry", headers={"X-Request-ID": "again"}
    )
    assert response.status_code == 202
    assert deployment.world.wait(failed.id).state == "failed"
    kinds = {line.get("kind") for line in deployment.lines_of("worker", "again")}
    assert "plan" in kinds


def test_the_last_spans_are_sent_when_the_processes_end(deployment: Deployment) -> None:
    response = deployment.client.get("/healthz")
    trace_id = response.headers["traceparent"].split("-")[1]
    deployment.stop()
    assert [span.name for span in deployment.receiver.of_trace(trace_id)] == ["GET /healthz"]
