"""Whatever becomes of a worker, an evaluation is answered once, with the right numbers."""

import threading
import time

import pytest

from app.evaluations.broker import Broker
from tests.crash.conftest import Stage, wake
from tests.support.deployment import wait_for

POINTS = (
    "after-claim",
    "mid-capture",
    "after-artifact",
    "before-manifest",
    "after-copy",
    "before-ack",
)


def test_a_worker_killed_at_every_point_changes_no_number(
    running: Stage, undisturbed: dict
) -> None:
    for point in POINTS:
        running.order(point, "kill")
    evaluation = running.answer()
    assert evaluation.state == "succeeded", evaluation.error
    assert running.world.numbers(evaluation.id) == undisturbed
    assert all(running.taken(point) for point in POINTS)
    assert {shard.state for shard in running.world.shards()} == {"succeeded"}
    assert max(shard.attempt for shard in running.world.shards()) > 1


def test_the_same_message_delivered_many_times_is_worked_on_once(
    running: Stage, undisturbed: dict
) -> None:
    evaluation_id = running.ask()
    stop = threading.Event()

    def repeat() -> None:
        with Broker(running.settings) as broker:
            while not stop.is_set():
                for shard in running.world.shards():
                    broker.publish(shard.id)
                time.sleep(0.05)

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        evaluation = running.world.wait(evaluation_id)
    finally:
        stop.set()
        thread.join()
    assert evaluation.state == "succeeded", evaluation.error
    assert running.world.numbers(evaluation.id) == undisturbed
    assert {shard.attempt for shard in running.world.shards()} == {1}


def test_a_frozen_worker_that_wakes_after_its_lease_changes_nothing(
    running: Stage, undisturbed: dict
) -> None:
    running.order("after-artifact", "freeze")
    evaluation_id = running.ask()
    (frozen,) = wait_for(lambda: running.taken("after-artifact"))
    evaluation = running.world.wait(evaluation_id)
    before = {shard.id: (shard.state, shard.attempt) for shard in running.world.shards()}
    wake(frozen)
    time.sleep(1)
    assert evaluation.state == "succeeded", evaluation.error
    assert running.world.numbers(evaluation_id) == undisturbed
    assert {s.id: (s.state, s.attempt) for s in running.world.shards()} == before
    assert sorted(attempt for _, attempt in before.values())[-1] == 2


@pytest.mark.parametrize("fault", ["fail", "full"])
def test_a_passing_failure_is_tried_again(running: Stage, undisturbed: dict, fault: str) -> None:
    for point in ("after-claim", "mid-capture", "after-copy"):
        running.order(point, fault)
    evaluation = running.answer()
    assert evaluation.state == "succeeded", evaluation.error
    assert running.world.numbers(evaluation.id) == undisturbed


def test_a_shard_over_its_time_limit_is_tried_again(running: Stage, undisturbed: dict) -> None:
    running.order("mid-capture", "sleep 100")
    evaluation_id = running.ask()
    wait_for(
        lambda: any((shard.error or {}).get("code") == "timed_out" for shard in _all(running)), 60
    )
    assert running.world.wait(evaluation_id).state == "succeeded"
    assert running.world.numbers(evaluation_id) == undisturbed


def test_what_kills_every_worker_ends_failed_and_harms_no_other(
    running: Stage, undisturbed: dict
) -> None:
    poison = running.order("after-claim", "kill", name="always")
    evaluation = running.answer()
    poison.unlink()
    assert evaluation.state == "failed"
    assert evaluation.error is not None
    assert evaluation.error["code"] == "attempts_exhausted"
    assert "tried 3 times" in evaluation.error["detail"]
    assert "stopped answering" in evaluation.error["detail"]
    assert not running.world.numbers(evaluation.id)
    after = running.answer()
    assert running.world.numbers(after.id) == undisturbed


def test_a_repeated_failure_ends_with_its_own_words(running: Stage) -> None:
    running.order("after-claim", "fail", name="always")
    evaluation = running.answer()
    assert evaluation.state == "failed"
    assert evaluation.error is not None
    assert evaluation.error["code"] == "attempts_exhausted"
    assert "InjectedFaultError: injected at after-claim" in evaluation.error["detail"]


def _all(stage: Stage) -> list:
    return list(stage.world.shards())
