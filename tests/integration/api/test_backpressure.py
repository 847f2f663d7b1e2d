"""Past the configured depth of the queue a POST is told to come again; what was accepted stays."""

import threading
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select, update

from app.core.database import Database
from app.evaluations.tables import Evaluation, OutboxMessage, Shard
from app.main import create_app
from app.registry.tables import Checkpoint
from app.settings import Settings
from tests.support.api import make_checkpoint, monitor_body, post, register_line

CHECKPOINTS = "/v1/models/bot/checkpoints"
DEPTH = 3


@pytest.fixture
def narrow(settings: Settings) -> Settings:
    """Three evaluations may wait."""
    return settings.model_copy(update={"max_queued_evaluations": DEPTH})


@pytest.fixture
def line(narrow: Settings) -> TestClient:
    client = TestClient(create_app(narrow), raise_server_exceptions=False)
    register_line(client, narrow)
    return client


def body(settings: Settings, name: str) -> dict[str, Any]:
    folder = settings.allowed_roots[0] / name
    source = str(folder) if folder.exists() else make_checkpoint(folder)
    return {"name": name, "source": source}


def counts(database: Database) -> dict[str, int]:
    """Rows of everything that a registration writes."""
    with database.unit_of_work() as session:
        return {
            table.__tablename__: session.scalar(select(func.count()).select_from(table)) or 0
            for table in (Checkpoint, Evaluation, Shard, OutboxMessage)
        }


def fill(line: TestClient, settings: Settings) -> list[str]:
    """As many evaluations as may wait."""
    return [
        post(line, CHECKPOINTS, body(settings, f"c{n}"), 202)["evaluations"][0]
        for n in range(DEPTH)
    ]


def test_a_full_queue_takes_nothing_more_and_keeps_what_it_has(
    line: TestClient, narrow: Settings, database: Database
) -> None:
    accepted = fill(line, narrow)
    before = counts(database)

    refused = line.post(CHECKPOINTS, json=body(narrow, "late"))

    assert (refused.status_code, refused.json()["code"]) == (429, "queue_full")
    assert int(refused.headers["Retry-After"]) > 0
    assert "max_queued_evaluations" in refused.json()["detail"]
    assert counts(database) == before
    assert line.get(f"{CHECKPOINTS}/late").status_code == 404
    states = {line.get(f"/v1/evaluations/{one}").json()["state"] for one in accepted}
    assert states == {"queued"}


def test_what_is_known_already_is_answered_though_the_queue_is_full(
    line: TestClient, narrow: Settings
) -> None:
    accepted = fill(line, narrow)
    again = line.post(CHECKPOINTS, json=body(narrow, "c0"))
    assert (again.status_code, again.json()["evaluations"]) == (200, accepted[:1])
    same = {"monitor": "watch", "checkpoint": "c0"}
    assert line.post("/v1/evaluations", json=same).json()["id"] == accepted[0]


@pytest.mark.parametrize("state", ["running", "succeeded", "cancelled"])
def test_the_same_request_succeeds_when_one_has_left_the_queue(
    line: TestClient, narrow: Settings, database: Database, state: str
) -> None:
    accepted = fill(line, narrow)
    key = {"Idempotency-Key": "late-1"}
    assert line.post(CHECKPOINTS, json=body(narrow, "late"), headers=key).status_code == 429
    with database.unit_of_work() as session:
        session.execute(update(Evaluation).where(Evaluation.id == accepted[0]).values(state=state))
    answer = line.post(CHECKPOINTS, json=body(narrow, "late"), headers=key)
    assert answer.status_code == 202


def test_starting_and_retrying_are_held_back_too(
    line: TestClient, narrow: Settings, database: Database
) -> None:
    first, *_ = fill(line, narrow)
    start = {"monitor": "watch", "checkpoint": "base"}
    assert line.post("/v1/evaluations", json=start).status_code == 429
    assert line.post(f"/v1/evaluations/{first}:cancel").status_code == 200
    post(line, CHECKPOINTS, body(narrow, "between"), 202)

    assert line.post(f"/v1/evaluations/{first}:retry").status_code == 429

    found = line.get(f"/v1/evaluations/{first}").json()
    assert found["state"] == "cancelled"


def test_several_monitors_start_together_or_not_at_all(
    line: TestClient, narrow: Settings, database: Database
) -> None:
    for name in ("second", "third", "fourth"):
        post(line, "/v1/monitors", monitor_body(name=name))
    before = counts(database)
    assert line.post(CHECKPOINTS, json=body(narrow, "wide")).status_code == 429
    assert counts(database) == before


def test_without_monitors_nothing_waits_and_nothing_is_refused(
    line: TestClient, narrow: Settings
) -> None:
    fill(line, narrow)
    post(line, "/v1/models", {"name": "unwatched"}, 201)
    path = "/v1/models/unwatched/checkpoints"
    post(line, path, body(narrow, "free"), 201)


def test_zero_is_no_limit(settings: Settings, database: Database) -> None:
    open_end = settings.model_copy(update={"max_queued_evaluations": 0})
    client = TestClient(create_app(open_end), raise_server_exceptions=False)
    register_line(client, open_end)
    for n in range(DEPTH + 2):
        post(client, CHECKPOINTS, body(open_end, f"c{n}"), 202)


def test_many_at_once_pass_the_limit_by_no_more_than_are_in_flight(
    line: TestClient, narrow: Settings, database: Database
) -> None:
    for number in range(4):
        model = f"line-{number}"
        post(line, "/v1/models", {"name": model}, 201)
        post(line, f"/v1/models/{model}/checkpoints", body(narrow, f"{model}-base"), 201)
        baseline = {"checkpoint": f"{model}-base"}
        post(line, "/v1/monitors", monitor_body(name=model, model=model, baseline=baseline))
    answers: list[int] = []

    def register(number: int) -> None:
        for turn in range(5):
            name = f"n{number}-{turn}"
            answer = line.post(f"/v1/models/line-{number}/checkpoints", json=body(narrow, name))
            answers.append(answer.status_code)

    threads = [threading.Thread(target=register, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert set(answers) == {202, 429}
    accepted = answers.count(202)
    assert DEPTH <= accepted < DEPTH + len(threads)
    assert counts(database)["evaluations"] == accepted
