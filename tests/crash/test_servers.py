"""Servers go away and come back; what was accepted is answered."""

import os
import shutil
import signal
import time

import psutil

from app.embedded.postgres import start_postgres
from app.embedded.redis import start_redis
from tests.crash import facts
from tests.crash.stage import CHILDREN, Stage
from tests.support.deployment import dispatching, wait_for

OUTAGE = float(os.environ.get("FEATUREDRIFT_TEST_OUTAGE", "6"))
"""Seconds that Postgres is away; `FEATUREDRIFT_TEST_OUTAGE=60` for the long way."""


def test_redis_restarted_empty(running: Stage, undisturbed: dict) -> None:
    running.order("mid-capture", "sleep 2")
    evaluation_id = running.ask()
    wait_for(lambda: running.taken("mid-capture"))
    running.redis.child.process.kill()
    running.redis.stop()
    shutil.rmtree(running.servers / "redis")
    running.redis = start_redis(running.servers / "redis")
    assert running.redis.url == running.settings.redis_url
    assert running.world.wait(evaluation_id).state == "succeeded"
    assert running.world.numbers(evaluation_id) == undisturbed


def test_acknowledgements_that_fail_do_not_count_against_the_workers_for_ever(
    running: Stage, undisturbed: dict
) -> None:
    """All children end their shards, and Redis dies before their parent can say so."""
    for _ in range(CHILDREN):
        running.order("mid-capture", "wait")
    evaluation_id = running.ask()
    wait_for(lambda: len(running.taken("mid-capture")) == CHILDREN)
    parent = psutil.Process(running.worker.process.pid)
    parent.suspend()
    running.clear_waiting()
    wait_for(lambda: all(shard.state != "running" for shard in running.world.shards()))
    time.sleep(0.5)
    running.redis.stop()
    parent.resume()
    wait_for(lambda: "Couldn't ack" in running.worker.log.read_text())
    running.redis = start_redis(running.servers / "redis")
    assert running.world.wait(evaluation_id).state == "succeeded"
    assert running.world.numbers(evaluation_id) == undisturbed


def test_redis_away_while_an_evaluation_is_accepted(running: Stage, undisturbed: dict) -> None:
    running.redis.stop()
    evaluation_id = running.ask()
    time.sleep(3)
    assert running.world.evaluation(evaluation_id).state == "queued"
    running.redis = start_redis(running.servers / "redis")
    assert running.world.wait(evaluation_id).state == "succeeded"
    assert running.world.numbers(evaluation_id) == undisturbed


def test_postgres_restarted_while_a_shard_is_running(running: Stage, undisturbed: dict) -> None:
    running.order("mid-capture", "sleep 3")
    evaluation_id = running.ask()
    wait_for(lambda: running.taken("mid-capture"))
    running.postgres.stop()
    time.sleep(1)
    running.postgres = start_postgres(running.servers / "postgres")
    assert running.postgres.url == running.settings.database_url
    assert running.world.wait(evaluation_id).state == "succeeded"
    assert running.world.numbers(evaluation_id) == undisturbed


def test_postgres_away_under_load(running: Stage, undisturbed: dict) -> None:
    """It crashes amid several evaluations, and is away for longer than any lease or retry lasts."""
    running.order("mid-capture", "sleep 1")
    asked = [running.ask(), *running.ask_others(4)]
    wait_for(lambda: running.taken("mid-capture"))
    # "Immediate shutdown": no goodbye to anybody, and a recovery at the next start.
    os.kill(running.postgres.child.pid, signal.SIGQUIT)
    running.postgres.child.process.wait(30)
    time.sleep(OUTAGE)
    running.postgres = start_postgres(running.servers / "postgres")
    for evaluation_id in asked:
        evaluation = running.world.wait(evaluation_id)
        assert evaluation.state == "succeeded", evaluation.error
        assert running.world.numbers(evaluation_id) == undisturbed
    assert facts.result_sets(running.world, asked[-1]) == {"told": 1, "page shares": 1}
    running.settled()


def test_two_dispatchers_are_as_good_as_one(running: Stage, undisturbed: dict) -> None:
    with dispatching(running.settings), dispatching(running.settings):
        evaluation_id = running.ask()
        assert running.world.wait(evaluation_id).state == "succeeded"
    assert running.world.numbers(evaluation_id) == undisturbed
    assert {shard.attempt for shard in running.world.shards()} == {1}
