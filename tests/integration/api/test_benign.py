"""The mark `benign`: the one thing of a checkpoint that may change."""

from uuid import UUID

import pytest
from fastapi.testclient import TestClient

from app.core.database import Database
from app.registry.repository.models import benign_checkpoints, get_model
from app.registry.tables import Checkpoint
from app.settings import Settings
from tests.support.api import post, register_checkpoint, register_line

NEXT = "/v1/models/bot/checkpoints/next"


@pytest.fixture
def line(client: TestClient, settings: Settings) -> TestClient:
    """The client, with a line registered."""
    register_line(client, settings)
    return client


def test_a_checkpoint_is_marked_and_the_mark_is_lifted(
    line: TestClient, settings: Settings
) -> None:
    fresh = register_checkpoint(line, settings, "next")
    assert (fresh["benign"], fresh["benign_at"], fresh["version"]) == (False, None, 1)
    assert line.get(NEXT).headers["ETag"] == '"1"'
    marked = line.patch(
        NEXT,
        json={"benign": True, "note": "files re-saved", "by": "ada"},
        headers={"If-Match": '"1"'},
    )
    assert (marked.status_code, marked.headers["ETag"]) == (200, '"2"')
    body = line.get(NEXT).json()
    assert body == marked.json()
    assert (body["benign"], body["benign_note"]) == (True, "files re-saved")
    assert body["benign_at"] >= body["created_at"]
    lifted = line.patch(NEXT, json={"benign": False}, headers={"If-Match": '"2"'}).json()
    assert (lifted["benign"], lifted["benign_at"], lifted["benign_note"]) == (False, None, None)
    events = line.get(f"/v1/audit-events?subject_id={fresh['id']}").json()["items"]
    assert [(event["actor"], event["action"]) for event in events] == [
        ("unnamed", "checkpoint.unmarked_benign"),
        ("ada", "checkpoint.marked_benign"),
        ("local", "checkpoint.registered"),
    ]


def test_the_same_mark_again_changes_nothing(line: TestClient, settings: Settings) -> None:
    register_checkpoint(line, settings, "next", benign=True)
    before = line.get(NEXT).json()
    assert before["benign_at"] is not None
    again = line.patch(NEXT, json={"benign": True}, headers={"If-Match": '"1"'})
    assert again.json() == before


def test_nobody_overwrites_a_mark_they_have_not_seen(line: TestClient, settings: Settings) -> None:
    register_checkpoint(line, settings, "next")
    assert line.patch(NEXT, json={"benign": True}).status_code == 428
    assert line.patch(NEXT, json={"benign": True}, headers={"If-Match": '"7"'}).status_code == 412
    assert line.get(NEXT).json()["benign"] is False


def test_nothing_else_of_a_checkpoint_changes(line: TestClient, settings: Settings) -> None:
    register_checkpoint(line, settings, "next")
    tag = {"If-Match": '"1"'}
    for body in ({"benign": True, "source": "/elsewhere"}, {"note": "no mark"}, {"benign": None}):
        assert line.patch(NEXT, json=body, headers=tag).status_code == 422
    unknown = line.patch("/v1/models/bot/checkpoints/none", json={"benign": True}, headers=tag)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_checkpoint")


def test_a_registration_is_repeated_whatever_the_mark_is_now(
    line: TestClient, settings: Settings
) -> None:
    fresh = register_checkpoint(line, settings, "next")
    line.patch(NEXT, json={"benign": True}, headers={"If-Match": '"1"'})
    body = {"name": "next", "source": fresh["source"]}
    again = post(line, "/v1/models/bot/checkpoints", body, 200)
    assert again["benign"] is True


def test_a_new_mark_makes_the_same_question_a_new_one(line: TestClient, settings: Settings) -> None:
    (first,) = register_checkpoint(line, settings, "next")["evaluations"]
    register_checkpoint(line, settings, "harmless")
    question = {"monitor": "watch", "checkpoint": "next"}
    assert post(line, "/v1/evaluations", question, 200)["id"] == first
    harmless = "/v1/models/bot/checkpoints/harmless"
    line.patch(harmless, json={"benign": True}, headers={"If-Match": '"1"'})
    second = post(line, "/v1/evaluations", question, 202)["id"]
    assert second != first
    assert post(line, "/v1/evaluations", question, 200)["id"] == second
    # Its own mark says nothing about its own noise floor.
    line.patch(NEXT, json={"benign": True}, headers={"If-Match": '"1"'})
    assert post(line, "/v1/evaluations", question, 200)["id"] == second


def test_the_newest_benign_checkpoints_are_found(
    line: TestClient, settings: Settings, database: Database
) -> None:
    for number in range(10):
        register_checkpoint(line, settings, f"c{number}", benign=number != 4)
    with database.unit_of_work() as session:
        model = get_model(session, "bot")
        assert model is not None

        def names(exclude: tuple[UUID, ...] = ()) -> list[str]:
            found = benign_checkpoints(session, model.id, exclude=exclude)
            return [checkpoint.name for checkpoint in found]

        assert names() == ["c9", "c8", "c7", "c6", "c5", "c3", "c2", "c1"]
        newest = session.query(Checkpoint).filter_by(name="c9").one()
        assert names((newest.id,)) == ["c8", "c7", "c6", "c5", "c3", "c2", "c1", "c0"]
