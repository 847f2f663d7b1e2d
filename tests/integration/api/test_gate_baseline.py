"""What a gate's answer was decided against, and what only a benign mark holds up."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.core.database import Database
from app.settings import Settings
from tests.support.api import finish, post, register_checkpoint, register_line, verdict

GATE = "/v1/models/bot/checkpoints/next/gate"
ALIAS = "/v1/models/bot/aliases/baseline"
STABLE = [verdict(name, "stable") for name in ("number", "up", "both")]
HELD = {
    "comparisons": {
        "baseline": {
            "counts": {"stable": 3},
            "stable_by_benign_floor": {"count": 1, "features": ["up"], "checkpoints": ["calm"]},
        }
    }
}


def judged(
    client: TestClient,
    settings: Settings,
    database: Database,
    summary: dict[str, Any] | None = None,
    **monitor: Any,
) -> None:
    register_line(client, settings, **monitor)
    (evaluation,) = register_checkpoint(client, settings, "next")["evaluations"]
    with database.unit_of_work() as session:
        finish(session, evaluation, STABLE, summary=summary)


def test_the_answer_stays_true_after_the_baseline_alias_has_moved(
    client: TestClient, settings: Settings, database: Database
) -> None:
    judged(client, settings, database)
    before = client.get(GATE).json()
    assert (before["gate"], before["monitors"][0]["baseline"]) == ("pass", "base")
    assert before["monitors"][0]["notes"] == []

    moved = client.put(ALIAS, json={"checkpoint": "next"}, headers={"If-Match": '"1"'})
    assert moved.status_code == 200

    after = client.get(GATE).json()
    assert (after["gate"], after["monitors"][0]["baseline"]) == ("pass", "base")
    (note,) = after["monitors"][0]["notes"]
    assert "baseline is 'next' by now" in note
    client.delete(ALIAS, headers={"If-Match": '"2"'})
    gone = client.get(GATE).json()
    assert (gone["gate"], gone["monitors"][0]["baseline"]) == ("pass", "base")
    assert "follows the alias 'baseline'" in gone["monitors"][0]["notes"][0]


@pytest.mark.parametrize(("allowed", "answer"), [(False, "inconclusive"), (True, "pass")])
def test_what_only_a_benign_mark_holds_up_is_inconclusive_unless_the_policy_accepts_it(
    client: TestClient, settings: Settings, database: Database, allowed: bool, answer: str
) -> None:
    policy = {"gate": {"allow_benign_floor": allowed}}
    judged(client, settings, database, HELD, policy=policy)

    gate = client.get(GATE).json()

    assert gate["gate"] == answer
    assert gate["monitors"][0]["held_by_benign"] == ["up"]
    if not allowed:
        (reason,) = gate["reasons"]
        assert (reason["code"], reason["features"]) == ("benign_floor", ["up"])
        assert "'calm'" in reason["detail"]


def test_a_later_question_is_decided_against_the_new_baseline(
    client: TestClient, settings: Settings, database: Database
) -> None:
    judged(client, settings, database)
    register_checkpoint(client, settings, "last")
    client.put(ALIAS, json={"checkpoint": "last"}, headers={"If-Match": '"1"'})
    again = post(client, "/v1/evaluations", {"monitor": "watch", "checkpoint": "next"}, 202)
    with database.unit_of_work() as session:
        finish(session, again["id"], STABLE)

    gate = client.get(GATE).json()

    assert (gate["monitors"][0]["baseline"], gate["monitors"][0]["notes"]) == ("last", [])
