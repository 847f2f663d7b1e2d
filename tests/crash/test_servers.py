"""Servers go away and come back; what was accepted is answered."""

import shutil
import time

import psutil

from app.embedded.postgres import start_postgres
from app.embedded.redis import start_redis
from tests.crash.conftest import Stage
from tests.support.deployment import dispatching, wait_for


def test_redis_restarted_empty(running: Stage, undisturbed: dict) -> None:
    running.order("mid-capture", "sleep 2")
    evaluation_id = running.ask()
    wait_for(lambda: running.taken("mid-capture"))
    running.redis.stop()
    shutil.rmtree(running.servers / "redis")
    running.redis = start_redis(running.servers / "redis")
    assert running.redis.url == running.settings.redis_url
    assert running.world.wait(evaluation_id).state == "succeeded"
    assert running.world.numbers(evaluation_id) == undisturbed


def test_acknowledgements_that_fail_do_not_count_against_the_workers_for_ever(
    running: Stage, undisturbed: dict
) -> None:
    """Both children end their shards, and Redis dies before their parent can say so."""
    for _ in range(2):
        running.order("mid-capture", "sleep 1")
    evaluation_id = running.ask()
    wait_for(lambda: len(running.taken("mid-capture")) == 2)
    parent = psutil.Process(running.worker.process.pid)
    parent.suspend()
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


def test_two_dispatchers_are_as_good_as_one(running: Stage, undisturbed: dict) -> None:
    with dispatching(running.settings), dispatching(running.settings):
        evaluation_id = running.ask()
        assert running.world.wait(evaluation_id).state == "succeeded"
    assert running.world.numbers(evaluation_id) == undisturbed
    assert {shard.attempt for shard in running.world.shards()} == {1}
