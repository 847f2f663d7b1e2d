"""What a real worker ends is told to webhooks, with the gate, and a refused target says so."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from app.main import create_app
from app.monitors.tables import Monitor
from app.registry.tables import Model
from app.settings import Settings
from app.webhooks.tables import Delivery
from tests.support.deployment import World, features_of_all_kinds, wait_for

SOMEWHERE = "http://hooks.invalid/"


@pytest.fixture(scope="module")
def client(deployment_settings: Settings) -> Iterator[TestClient]:
    """The API on the database that the worker writes to."""
    with TestClient(create_app(deployment_settings)) as client:
        yield client


def test_a_workers_success_and_failure_are_told(
    world: World, checkpoints: dict[str, Path], client: TestClient
) -> None:
    model = world.model()
    features = world.feature_set(features_of_all_kinds(world.dictionary(checkpoints["dictionary"])))
    monitor = world.monitor(model, world.corpus(), feature_set=features)
    with world.database.unit_of_work() as session:
        names = session.get_one(Model, model).name, session.get_one(Monitor, monitor).name
    body = {"url": SOMEWHERE, "events": ["evaluation.finished"], "models": [names[0]]}
    webhook = client.post("/v1/webhooks", json=body).json()
    base = world.checkpoint(model, checkpoints["base"])
    other = world.wait(world.evaluate(monitor, world.checkpoint(model, checkpoints["other"]), base))
    missing = world.checkpoint(model, world.models / "nothing-is-here")
    failed = world.wait(world.evaluate(monitor, missing, base))
    assert (other.state, failed.state) == ("succeeded", "failed")
    with world.database.unit_of_work() as session:
        rows = session.scalars(
            select(Delivery)
            .where(Delivery.webhook_id == webhook["id"])
            .order_by(Delivery.created_at, Delivery.id)
        ).all()
    told = [json.loads(row.body)["data"] for row in rows]
    assert [(data["evaluation"], data["state"], data["gate"]) for data in told] == [
        (str(other.id), "succeeded", "fail"),
        (str(failed.id), "failed", "inconclusive"),
    ]
    assert {(data["model"], data["monitor"]) for data in told} == {names}
    assert told[0]["reasons"][0]["code"] == "drifted"
    assert told[1]["error"] == failed.error
    # The deployment's own dispatcher has tried by itself.
    log = f"/v1/webhooks/{webhook['id']}/deliveries"
    tried = wait_for(
        lambda: [item for item in client.get(log).json()["items"] if item["error"] is not None]
    )
    assert "hooks.invalid" in tried[0]["error"]
