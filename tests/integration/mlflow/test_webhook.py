"""Messages of an MLflow registry: a version becomes a checkpoint, once."""

import threading
import time
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import Settings
from tests.integration.mlflow.conftest import Deliver, sender, version
from tests.support.api import make_checkpoint, register_line

CREATED = "model_version.created"
ALIAS = "model_version_alias.created"
TAG = "model_version_tag.set"


def aliased(alias: str, number: int) -> dict[str, Any]:
    return {"name": "Support Bot", "alias": alias, "version": str(number)}


def baseline(client: TestClient) -> str:
    return str(client.get("/v1/models/bot/aliases/baseline").json()["checkpoint"])


def test_a_new_version_is_registered_and_evaluated(
    client: TestClient, deliver: Deliver, settings: Settings
) -> None:
    make_checkpoint(settings.allowed_roots[0] / "run-1")

    response = deliver(CREATED, version(7, "mlflow-artifacts:/run-1"), delivery="d-1")

    assert response.status_code == 202, response.text
    answer = response.json()
    assert (answer["outcome"], answer["model"], answer["checkpoint"]) == ("registered", "bot", "v7")
    checkpoint = client.get("/v1/models/bot/checkpoints/v7").json()
    assert checkpoint["source"] == f"{settings.allowed_roots[0]}/run-1"
    assert checkpoint["evaluations"] == answer["evaluations"]
    assert len(answer["evaluations"]) == 1
    query = "action=checkpoint.registered&actor=mlflow"
    (event,) = client.get(f"/v1/audit-events?{query}").json()["items"]
    assert (event["actor"], event["detail"]["delivery"]) == ("mlflow", "d-1")


def test_the_same_delivery_again_has_the_same_answer_and_no_effect(
    client: TestClient, deliver: Deliver, settings: Settings
) -> None:
    source = make_checkpoint(settings.allowed_roots[0] / "run-1")
    sent = time.time()
    first = deliver(CREATED, version(7, source), delivery="d-1", sent=sent)
    answers = []
    threads = [
        threading.Thread(
            target=lambda: answers.append(
                deliver(CREATED, version(7, source), delivery="d-1", sent=sent)
            )
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {again.status_code for again in answers} == {202}
    assert all(again.json() == first.json() for again in answers)
    assert len(client.get("/v1/models/bot/checkpoints").json()["items"]) == 2
    assert len(client.get("/v1/evaluations?checkpoint=v7&model=bot").json()["items"]) == 1
    later = deliver(CREATED, version(7, source))
    assert (later.status_code, later.json()["outcome"]) == (200, "known")
    assert len(client.get("/v1/audit-events?actor=mlflow").json()["items"]) == 1


def test_a_delivery_id_with_another_message_is_refused(deliver: Deliver) -> None:
    ignored = deliver("registered_model.created", {"name": "x"}, delivery="d-1")
    assert (ignored.status_code, ignored.json()["outcome"]) == (200, "ignored")
    again = deliver("registered_model.created", {"name": "y"}, delivery="d-1")
    assert (again.status_code, again.json()["code"]) == (422, "idempotency_key_reused")


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"secret": "another"}, "invalid_signature"),
        ({"sent": 1_700_000_000}, "timestamp_out_of_tolerance"),
    ],
)
def test_a_forged_or_old_message_does_nothing(
    client: TestClient, deliver: Deliver, settings: Settings, how: dict[str, Any], code: str
) -> None:
    source = make_checkpoint(settings.allowed_roots[0] / "run-1")
    response = deliver(CREATED, version(7, source), **how)
    assert (response.status_code, response.json()["code"]) == (401, code)
    assert response.headers["content-type"] == "application/problem+json"
    assert client.get("/v1/models/bot/checkpoints/v7").status_code == 404


def test_without_a_secret_everything_is_refused_clearly(settings: Settings) -> None:
    with TestClient(create_app(settings)) as client:
        response = client.post("/v1/integrations/mlflow", json={})
    assert (response.status_code, response.json()["code"]) == (403, "mlflow_not_configured")
    assert "FEATUREDRIFT_MLFLOW_WEBHOOK_SECRET" in response.json()["detail"]


def test_a_source_that_cannot_be_used_is_named_and_may_be_sent_again(
    client: TestClient, deliver: Deliver, settings: Settings
) -> None:
    data = version(7, "mlflow-artifacts:/late")
    refused = deliver(CREATED, data, delivery="d-1")
    assert (refused.status_code, refused.json()["code"]) == (422, "source_missing")
    outside = deliver(CREATED, version(8, "/etc"))
    assert (outside.status_code, outside.json()["code"]) == (422, "source_outside_roots")
    make_checkpoint(settings.allowed_roots[0] / "late")
    assert deliver(CREATED, data, delivery="d-1").status_code == 202


def test_an_alias_here_follows_one_there_and_never_goes_back(
    client: TestClient, deliver: Deliver, settings: Settings
) -> None:
    for number in (7, 8):
        source = make_checkpoint(settings.allowed_roots[0] / f"run-{number}")
        deliver(CREATED, version(number, source))

    moved = deliver(ALIAS, aliased("champion", 8), at="2026-11-22T10:00:00+00:00")
    assert (moved.json()["outcome"], baseline(client)) == ("alias_moved", "v8")
    overtaken = deliver(ALIAS, aliased("champion", 7), at="2026-11-22T09:59:59+00:00")
    assert (overtaken.json()["outcome"], baseline(client)) == ("ignored", "v8")
    back = deliver(ALIAS, aliased("champion", 7), at="2026-11-22T10:00:01+00:00")
    assert (back.json()["outcome"], baseline(client)) == ("alias_moved", "v7")
    other = deliver(ALIAS, aliased("challenger", 8))
    assert (other.json()["outcome"], baseline(client)) == ("ignored", "v7")


def test_an_alias_that_comes_before_its_version_is_sent_again(
    client: TestClient, deliver: Deliver, settings: Settings
) -> None:
    early = deliver(ALIAS, aliased("champion", 7), delivery="a-1")
    assert (early.status_code, early.json()["code"]) == (503, "version_not_registered")
    assert "retry-after" in early.headers
    source = make_checkpoint(settings.allowed_roots[0] / "run-7")
    deliver(CREATED, version(7, source))
    assert deliver(ALIAS, aliased("champion", 7), delivery="a-1").status_code == 200
    assert baseline(client) == "v7"


def test_a_version_may_be_registered_by_a_tag_that_names_its_files(
    client: TestClient, deliver: Deliver, settings: Settings
) -> None:
    source = make_checkpoint(settings.allowed_roots[0] / "exported")
    waits = deliver(CREATED, version(3, "models:/m-1", name="By Tag"))
    assert waits.json()["outcome"] == "ignored"
    tag = {"name": "By Tag", "version": "3", "key": "files", "value": source}
    assert deliver(TAG, {**tag, "key": "stage"}).json()["outcome"] == "ignored"
    assert deliver(TAG, tag).json()["checkpoint"] == "tagged-3"
    again = deliver(CREATED, version(3, "models:/m-1", name="By Tag", tags={"files": source}))
    assert again.json()["outcome"] == "known"


@pytest.mark.parametrize(
    ("event", "data"),
    [
        ("model_version.created", {"name": "example_model", "version": "1", "source": "models:/1"}),
        ("model_version_alias.created", {"name": "example_model", "alias": "a", "version": "1"}),
        (
            "model_version_tag.set",
            {"name": "example_model", "version": "1", "key": "k", "value": "v"},
        ),
        ("model_version_tag.deleted", {"name": "Support Bot", "version": "1", "key": "k"}),
        ("model_version_alias.deleted", {"name": "Support Bot", "alias": "champion"}),
        ("registered_model.created", {"name": "Support Bot", "tags": {}, "description": None}),
        ("prompt.created", {"name": "p"}),
        ("thing.of_the_future", {"any": [1, {"deep": None}]}),
    ],
)
def test_what_concerns_nobody_is_let_be(deliver: Deliver, event: str, data: dict[str, Any]) -> None:
    response = deliver(event, data)
    assert (response.status_code, response.json()["outcome"]) == (200, "ignored")


@pytest.mark.parametrize(
    "data",
    [
        {"name": "Support Bot"},
        {"name": "Support Bot", "version": 7, "source": "/x"},
        {"name": "Support Bot", "version": "1/../2", "source": "/x"},
        {"name": "Support Bot", "version": "7", "source": ""},
        {"name": "Support Bot", "version": "7", "source": "a\x00b"},
        {"name": "Support Bot", "version": "7", "source": "models:/m-1"},
        {"name": "Support Bot", "version": "7", "source": "/x", "tags": {"k": 1}},
    ],
)
def test_a_signed_message_that_makes_no_sense_is_refused_with_the_reason(
    deliver: Deliver, data: dict[str, Any]
) -> None:
    response = deliver(CREATED, data)
    assert response.status_code == 422, response.text
    assert response.json()["detail"]


@pytest.mark.parametrize("at", ["yesterday", ""])
def test_a_signed_message_without_its_time_is_refused(deliver: Deliver, at: str) -> None:
    response = deliver(CREATED, version(7, "/x"), at=at)
    assert (response.status_code, response.json()["field"]) == (422, "timestamp")


def test_a_full_queue_refuses_a_version_which_may_be_sent_again(
    believing: Settings, settings: Settings
) -> None:
    narrow = believing.model_copy(update={"max_queued_evaluations": 1})
    with TestClient(create_app(narrow), raise_server_exceptions=False) as client:
        register_line(client, narrow)
        send = sender(client)
        sources = [make_checkpoint(settings.allowed_roots[0] / f"run-{n}") for n in (1, 2)]
        assert send(CREATED, version(1, sources[0])).status_code == 202

        refused = send(CREATED, version(2, sources[1]), delivery="d-2")

        assert (refused.status_code, refused.json()["code"]) == (429, "queue_full")
        assert client.get("/v1/models/bot/checkpoints/v2").status_code == 404
        (open_one,) = client.get("/v1/models/bot/checkpoints/v1").json()["evaluations"]
        assert client.post(f"/v1/evaluations/{open_one}:cancel").status_code == 200
        assert send(CREATED, version(2, sources[1]), delivery="d-2").status_code == 202
