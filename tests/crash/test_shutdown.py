"""Stopping a worker politely loses no work, and leaves no process."""

import psutil

from tests.crash.stage import Stage
from tests.support.deployment import dispatching, wait_for, working


def test_sigterm_lets_the_running_shard_finish_and_another_worker_goes_on(
    stage: Stage, undisturbed: dict
) -> None:
    elsewhere = stage.settings.model_copy(update={"queue": "elsewhere", "preload": True})
    stage.order("mid-capture", "sleep 3")
    with working(elsewhere, stage.folder / "first.log", 1, stage.faults) as first:
        with dispatching(elsewhere):
            evaluation_id = stage.ask()
            wait_for(lambda: stage.taken("mid-capture"), 120)
        children = first.children()
        first.stop()
        assert first.process.returncode == 0
    assert children
    assert not [child for child in children if psutil.pid_exists(child.pid)]
    captures = [shard for shard in stage.world.shards() if shard.kind == "capture"]
    assert {shard.state for shard in captures} == {"succeeded", "queued"}
    with dispatching(stage.settings):
        assert stage.world.wait(evaluation_id).state == "succeeded"
    assert stage.world.numbers(evaluation_id) == undisturbed
    assert {shard.attempt for shard in stage.world.shards()} == {1}
