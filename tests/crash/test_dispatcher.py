"""A dispatcher may die between any two of its steps."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.crash.conftest import Stage
from tests.support.deployment import fault_environment, wait_for

_SCRIPT = """
import threading
from app.evaluations.dispatcher import run_dispatcher
from app.settings import get_settings
run_dispatcher(get_settings(), threading.Event())
"""


@contextmanager
def _dispatcher(stage: Stage) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-c", _SCRIPT], env=fault_environment(stage.settings, stage.faults)
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("point", ["before-publish", "after-publish"])
def test_a_dispatcher_killed_around_a_message_is_replaced_by_the_one_that_stands_by(
    stage: Stage, undisturbed: dict, point: str
) -> None:
    with _dispatcher(stage) as first, _dispatcher(stage) as second:
        stage.order(point, "kill")
        evaluation_id = stage.ask()
        wait_for(lambda: first.poll() is not None or second.poll() is not None)
        assert stage.world.wait(evaluation_id).state == "succeeded"
        assert [first.poll(), second.poll()].count(None) == 1
    assert stage.world.numbers(evaluation_id) == undisturbed
    assert {shard.attempt for shard in stage.world.shards()} == {1}
