"""From a real worker's verdicts to alerts, and from an alert to the repair by links alone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.monitors.tables import Monitor
from app.settings import Settings
from tests.support.deployment import World, documents, features_of_all_kinds
from tests.support.models import random_model, train_tokenizer
from workers.demo.checkpoints import rotate

WATCHED = ["direction", "latent"]


@pytest.fixture(scope="module")
def client(deployment_settings: Settings) -> Iterator[TestClient]:
    """The API on the database that the worker writes to."""
    with TestClient(create_app(deployment_settings)) as client:
        yield client


@pytest.fixture(scope="module")
def line(world: World, checkpoints: dict[str, Path]) -> dict[str, UUID]:
    """A rotated checkpoint, one that cannot be read, and one with the baseline's own weights."""
    rotated = random_model("llama")
    rotate(rotated, seed=5)
    folder = world.models / "rotated-for-alerts"
    rotated.save_pretrained(folder)
    train_tokenizer().save_pretrained(folder)
    model = world.model()
    features = world.feature_set(features_of_all_kinds(world.dictionary(checkpoints["dictionary"])))
    corpus = world.corpus(documents(120))
    return {
        "monitor": world.monitor(
            model,
            corpus,
            feature_set=features,
            watchlist=WATCHED,
            diagnosis=True,
        ),
        "base": world.checkpoint(model, checkpoints["base"]),
        "rotated": world.checkpoint(model, folder),
        "missing": world.checkpoint(model, world.models / "nothing-is-here"),
        "same": world.checkpoint(model, checkpoints["same"]),
    }


def test_a_line_of_checkpoints_opens_keeps_and_resolves_its_alerts(
    world: World, line: dict[str, UUID], client: TestClient
) -> None:
    with world.database.unit_of_work() as session:
        monitor = session.get_one(Monitor, line["monitor"]).name

    def alerts(**where: str) -> dict[str, dict[str, Any]]:
        answer = client.get("/v1/alerts", params={"monitor": monitor, **where})
        assert answer.status_code == 200, answer.text
        return {item["subject"]: item for item in answer.json()["items"]}

    drifted = world.wait(world.evaluate(line["monitor"], line["rotated"], line["base"]))
    assert drifted.state == "succeeded", drifted.error
    verdicts = world.verdicts(drifted.id)
    opened = alerts(state="open")
    assert {name for name in WATCHED if verdicts[name].verdict == "drifted"} == set(opened)
    assert set(opened) == set(WATCHED), "a rotation moves everything that is read along an axis"
    assert {alert["severity"] for alert in opened.values()} == {"page"}
    for name, alert in opened.items():
        row, evidence, links = verdicts[name], alert["evidence"], alert["links"]
        assert (evidence["effect"], evidence["margin"]) == (row.effect, row.margin)
        assert evidence["diagnosis"] == row.diagnosis == "rotated"
        (seen,) = client.get(links["verdict"]).json()["items"]
        assert seen["diagnosis_evidence"]["reason"] == evidence["diagnosis_reason"]
        repair = client.get(links["repair"]).json()
        assert name in {change["feature"] for change in repair["changes"]}
        assert client.get(links["history"]).json()["items"][0]["verdict"]["feature"] == name

    failed = world.wait(world.evaluate(line["monitor"], line["missing"], line["base"]))
    assert failed.state == "failed"
    (about,) = alerts(subject_kind="evaluation").values()
    assert failed.error is not None
    assert about["state"] == "open"
    assert failed.error["detail"].rstrip(".") in about["detail"]
    assert alerts(subject_kind="feature") == opened, "a failure touches no feature's alert"

    same = world.wait(world.evaluate(line["monitor"], line["same"], line["base"]))
    assert same.state == "succeeded", same.error
    left = {name: alert["detail"] for name, alert in alerts(state="open").items()}
    assert left == {}
    assert len(alerts()) == len(WATCHED) + 1
