"""The end of an evaluation is told, with the gate's answer, in the transaction that ends it."""

import json
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from app.core.database import Database
from app.evaluations import ledger
from app.settings import Settings
from app.webhooks.finished import emit_finished
from app.webhooks.tables import Delivery
from tests.integration.webhooks.conftest import Hooks
from tests.support.api import finish, register_checkpoint, register_line, verdict


@pytest.fixture
def evaluation(client: TestClient, hooks: Hooks, settings: Settings) -> str:
    """An open evaluation, and webhooks of which one wants to know."""
    register_line(client, settings)
    hooks.make("http://127.0.0.1:9/", events=["evaluation.finished"], monitors=["watch"])
    hooks.make("http://127.0.0.1:9/", events=["alert.opened"])
    (found,) = register_checkpoint(client, settings, "next")["evaluations"]
    return str(found)


def told(database: Database) -> list[dict[str, Any]]:
    """The data of all such events, oldest first."""
    with database.unit_of_work() as session:
        rows = session.scalars(
            select(Delivery).where(Delivery.event == "evaluation.finished").order_by(Delivery.id)
        ).all()
        return [json.loads(row.body)["data"] for row in rows]


def test_a_success_is_told_with_the_gate_that_it_leads_to(
    client: TestClient, database: Database, evaluation: str
) -> None:
    with database.unit_of_work() as session:
        finish(session, evaluation, [verdict("number", "drifted"), verdict("up", "stable")])
        assert emit_finished(session, [UUID(evaluation)]) == 1
    (data,) = told(database)
    gate = client.get("/v1/models/bot/checkpoints/next/gate").json()
    assert (data["model"], data["monitor"], data["checkpoint"]) == ("bot", "watch", "next")
    assert (data["evaluation"], data["state"], data["error"]) == (evaluation, "succeeded", None)
    assert (data["gate"], data["reasons"]) == (gate["gate"], gate["reasons"])
    assert data["gate"] == "fail"
    base = "http://127.0.0.1:8321/v1"
    assert data["links"] == {
        "evaluation": f"{base}/evaluations/{evaluation}",
        "verdicts": f"{base}/evaluations/{evaluation}/verdicts",
        "checkpoint": f"{base}/models/bot/checkpoints/next",
        "gate": f"{base}/models/bot/checkpoints/next/gate",
    }


def test_a_failure_is_told_once_with_its_reason(database: Database, evaluation: str) -> None:
    error = ledger.failure("source_missing", "the checkpoint is gone")
    for _ in range(2):
        with database.unit_of_work() as session:
            ledger.lock_evaluation(session, UUID(evaluation))
            ledger.end_evaluations(session, [UUID(evaluation)], state="failed", error=error)
    (data,) = told(database)
    assert (data["state"], data["error"], data["gate"]) == ("failed", error, "inconclusive")
    assert data["finished_at"] is not None


def test_a_cancellation_and_the_end_of_a_retry_are_told(
    client: TestClient, database: Database, evaluation: str
) -> None:
    for word in ("cancel", "retry", "cancel"):
        answer = client.post(f"/v1/evaluations/{evaluation}:{word}")
        assert answer.status_code < 300
    assert [data["state"] for data in told(database)] == ["cancelled", "cancelled"]


def test_what_is_rolled_back_is_not_told(database: Database, evaluation: str) -> None:
    with database.unit_of_work() as session:
        ledger.cancel_evaluation(session, UUID(evaluation))
        session.rollback()
    assert told(database) == []
