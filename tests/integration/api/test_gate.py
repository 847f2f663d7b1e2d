"""The gate: what it answers, why, and when it has decided."""

import threading
import time
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.core.database import Database
from app.settings import Settings
from tests.support.api import finish, monitor_body, post, register_checkpoint, verdict

GATE = "/v1/models/bot/checkpoints/next/gate"


def test_waiting_for_the_gate_ends_when_the_last_evaluation_does(
    line: TestClient, settings: Settings, database: Database
) -> None:
    (evaluation,) = register_checkpoint(line, settings, "next")["evaluations"]
    assert line.get(GATE).json()["gate"] == "pending"
    assert line.get(f"{GATE}?wait=100ms").json()["gate"] == "pending"
    assert line.get(f"{GATE}?wait=soon").json()["code"] == "invalid_duration"
    answers: dict[str, Any] = {}

    def ask(path: str) -> None:
        answers[path] = line.get(f"{path}?wait=60s").json()

    waiting = [
        threading.Thread(target=ask, args=(path,))
        for path in (GATE, f"/v1/evaluations/{evaluation}")
    ]
    for thread in waiting:
        thread.start()
    time.sleep(0.5)
    assert answers == {}
    with database.unit_of_work() as session:
        finish(session, evaluation, [verdict("number", "stable")])
    for thread in waiting:
        thread.join(30)
    assert answers[GATE]["gate"] == "pass"
    assert answers[GATE]["reasons"] == []
    assert answers[f"/v1/evaluations/{evaluation}"]["state"] == "succeeded"


def test_the_gate_names_what_drifted(
    line: TestClient, settings: Settings, database: Database
) -> None:
    (evaluation,) = register_checkpoint(line, settings, "next")["evaluations"]
    rows = [
        verdict("number", "drifted", effect=0.4),
        verdict("both", "drifted", effect=-0.9),
        verdict("up", "inconclusive"),
        verdict("up", "drifted", comparison="previous"),
    ]
    with database.unit_of_work() as session:
        finish(session, evaluation, rows)
    gate = line.get(GATE).json()
    assert gate["gate"] == "fail"
    assert [(reason["code"], reason["features"]) for reason in gate["reasons"]] == [
        ("drifted", ["both", "number"]),
        ("unproven", ["up"]),
    ]
    (standing,) = gate["monitors"]
    assert standing["counts"] == {"drifted": 2, "inconclusive": 1}
    assert standing["drifted_ratio"] == pytest.approx(2 / 3)


def test_the_gate_of_a_whole_dictionary_counts_all_latents_not_the_stored_rows(
    line: TestClient, settings: Settings, database: Database
) -> None:
    policy = {"gate": {"max_drifted_ratio": 0.1}}
    body = monitor_body(name="all", feature_set=None, dictionary="layer-1", policy=policy)
    post(line, "/v1/monitors", body)
    line.patch("/v1/monitors/watch", json={"enabled": False}, headers={"If-Match": '"1"'})
    (evaluation,) = register_checkpoint(line, settings, "next")["evaluations"]
    counts = {"stable": 30, "drifted": 2, "inconclusive": 0}
    with database.unit_of_work() as session:
        rows = [verdict("latent-3", "drifted"), verdict("latent-4", "drifted")]
        summary = {"comparisons": {"baseline": {"counts": counts, "drifted_ratio": 0.0625}}}
        finish(session, evaluation, rows, summary=summary)
    gate = line.get(GATE).json()
    assert gate["gate"] == "pass"
    assert gate["monitors"][0]["counts"] == {"stable": 30, "drifted": 2}
    (item,) = line.get("/v1/monitors/all/history").json()["items"]
    assert item["comparisons"]["baseline"]["drifted_ratio"] == 0.0625
    assert item["comparisons"]["baseline"]["features"] == 32


def test_only_the_newest_evaluation_of_a_monitor_counts(
    line: TestClient, settings: Settings, database: Database
) -> None:
    (older,) = register_checkpoint(line, settings, "next")["evaluations"]
    with database.unit_of_work() as session:
        finish(session, older, [verdict("number", "drifted")])
    line.patch("/v1/monitors/watch", json={"policy": {"q": 0.1}}, headers={"If-Match": '"1"'})
    newer = post(line, "/v1/evaluations", {"monitor": "watch", "checkpoint": "next"}, 202)["id"]
    assert line.get(GATE).json()["gate"] == "pending"
    with database.unit_of_work() as session:
        finish(session, newer, [verdict("number", "stable")])
    gate = line.get(GATE).json()
    assert (gate["gate"], gate["monitors"][0]["evaluation"]) == ("pass", newer)
    history = line.get("/v1/monitors/watch/history").json()["items"]
    assert [item["evaluation"] for item in history] == [newer, older]
    listed = line.get("/v1/models/bot/checkpoints/next").json()["evaluations"]
    assert listed == [newer, older]


def test_a_failed_control_is_in_the_resource_and_in_the_gate(
    line: TestClient, settings: Settings, database: Database
) -> None:
    (evaluation,) = register_checkpoint(line, settings, "next")["evaluations"]
    control = {"control": "no_op", "passed": False, "detail": "bytes differ", "figures": {"n": 3}}
    with database.unit_of_work() as session:
        finish(session, evaluation, [verdict("number", "stable")], controls=[control])
    resource = line.get(f"/v1/evaluations/{evaluation}").json()
    assert resource["controls"] == [control]
    assert resource["dictionary_health"][0]["fvu"] == 0.1
    gate = line.get(GATE).json()
    assert (gate["gate"], gate["reasons"][0]["code"]) == ("inconclusive", "control_failed")
