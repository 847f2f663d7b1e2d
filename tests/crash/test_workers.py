"""Whatever becomes of a worker, an evaluation is answered once, with the right numbers."""

import os
import signal
import threading
import time

from app.evaluations.broker import Broker
from tests.crash.cells import collect_half_written
from tests.crash.stage import Stage
from tests.support.deployment import wait_for
from tests.support.models import save_checkpoint


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


def test_a_shard_over_its_time_limit_is_tried_again(running: Stage, undisturbed: dict) -> None:
    running.order("mid-capture", "sleep 100")
    evaluation_id = running.ask()
    wait_for(
        lambda: any((shard.error or {}).get("code") == "timed_out" for shard in _all(running)), 60
    )
    assert running.world.wait(evaluation_id).state == "succeeded"
    assert running.world.numbers(evaluation_id) == undisturbed


def test_a_shard_that_hears_of_no_limit_is_killed_and_tried_again(
    running: Stage, undisturbed: dict
) -> None:
    """As one that hangs in native code, with a heartbeat that goes on."""
    running.order("mid-capture", "hang 100")
    evaluation_id = running.ask()
    wait_for(lambda: running.taken("mid-capture"))
    assert running.answered_once(evaluation_id) == 2


def test_a_child_out_of_memory_is_tried_again(running: Stage, undisturbed: dict) -> None:
    running.order("mid-capture", "memory")
    evaluation_id = running.ask()
    error = wait_for(
        lambda: (
            next((s.error for s in _all(running) if s.error), None)
            or running.world.evaluation(evaluation_id).finished_at
        )
    )
    assert error["code"] == "error"
    assert "MemoryError" in error["detail"]
    assert running.answered_once(evaluation_id) == 2


def test_a_whole_worker_that_vanishes_is_replaced(running: Stage, undisturbed: dict) -> None:
    """Its machine is gone, and with it the messages that it held."""
    running.order("mid-capture", "wait")
    evaluation_id = running.ask()
    wait_for(lambda: running.taken("mid-capture"))
    running.worker.kill()
    with running.client() as redis:
        held = redis.zrange("unacked_index", 0, -1)
        assert held
        # As if the visibility timeout had passed: all that it held is delivered once more.
        redis.zadd("unacked_index", dict.fromkeys(held, 0.0))
    running.replace_worker()
    running.world.wait(evaluation_id)
    # Other children may have been writing.
    collect_half_written(running)
    assert running.answered_once(evaluation_id) == 2


def test_a_worker_told_to_end_with_all_its_children_is_replaced(
    running: Stage, undisturbed: dict
) -> None:
    """As systemd does it by default: SIGTERM to every process of the unit."""
    running.order("mid-capture", "wait")
    evaluation_id = running.ask()
    wait_for(lambda: running.taken("mid-capture"))
    os.killpg(running.worker.process.pid, signal.SIGTERM)
    running.clear_waiting()
    running.worker.process.wait(60)
    running.replace_worker()
    evaluation = running.world.wait(evaluation_id)
    assert evaluation.state == "succeeded", evaluation.error
    running.as_undisturbed(evaluation_id)


def test_a_checkpoint_that_kills_every_worker_harms_no_other(
    running: Stage, undisturbed: dict
) -> None:
    """Both wait in one queue, and share the baseline's snapshot."""
    healthy = running.ask()
    poisoned, name = running.ask_about(
        save_checkpoint(running.folder / "models" / "poison", seed=2)
    )
    poison = running.order(f"mid-capture@{name}", "kill", name="always")
    try:
        assert running.world.wait(healthy).state == "succeeded"
        evaluation = running.world.wait(poisoned)
    finally:
        poison.unlink()
    assert evaluation.state == "failed"
    assert evaluation.error is not None
    assert evaluation.error["code"] == "attempts_exhausted"
    assert "tried 3 times" in evaluation.error["detail"]
    assert not running.world.numbers(poisoned)
    assert running.world.numbers(healthy) == undisturbed
    running.settled()


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
