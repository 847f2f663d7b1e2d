"""The artifact store cannot be written: for a moment, or until somebody mends it."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.evaluations import ledger
from tests.crash.stage import Stage
from tests.support.deployment import wait_for


def _snapshots(stage: Stage) -> Path:
    return stage.folder / "artifacts" / "snapshots"


@contextmanager
def _unwritable(folder: Path) -> Iterator[None]:
    """A file lies where the folder would be: to no account can anything be written there."""
    # What was written before is there again afterwards: no store loses its files by being full.
    aside = folder.with_name("aside")
    folder.mkdir(parents=True, exist_ok=True)
    folder.rename(aside)
    folder.write_text("")
    try:
        yield
    finally:
        folder.unlink()
        aside.rename(folder)


@contextmanager
def _full(folder: Path) -> Iterator[None]:
    """A real file system with room for one page."""
    folder.mkdir(parents=True, exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4k", "none", str(folder)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_store_that_cannot_be_written_for_a_moment(running: Stage, undisturbed: dict) -> None:
    running.order("mid-capture", "wait")
    evaluation_id = running.ask()
    wait_for(lambda: running.taken("mid-capture"))
    with _unwritable(_snapshots(running)):
        running.clear_waiting()
        wait_for(lambda: any(shard.error for shard in running.world.shards()))
    running.answered_once(evaluation_id)


@pytest.mark.parametrize("trouble", [_unwritable, _full])
def test_a_store_that_stays_so_fails_the_evaluation_and_a_retry_ends_it(
    running: Stage, undisturbed: dict, trouble: object
) -> None:
    running.order("mid-capture", "wait")
    evaluation_id = running.ask()
    wait_for(lambda: running.taken("mid-capture"))
    with trouble(_snapshots(running)):  # type: ignore[operator]
        running.clear_waiting()
        evaluation = running.world.wait(evaluation_id)
        time.sleep(0.5)
    assert evaluation.state == "failed"
    assert evaluation.error is not None
    assert evaluation.error["code"] == "attempts_exhausted"
    assert "Error" in evaluation.error["detail"]
    if trouble is _full:
        assert "No space left on device" in evaluation.error["detail"]
    assert not running.world.numbers(evaluation_id)
    with running.world.database.unit_of_work() as session:
        ledger.retry_evaluation(session, evaluation_id)
    assert running.world.wait(evaluation_id).state == "succeeded"
    assert running.world.numbers(evaluation_id) == undisturbed
    running.settled()
