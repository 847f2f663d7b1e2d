"""Clocks jump: the workers', which decide nothing, and the database's, by which leases are timed.

The database's clock is not ours to set. A jump of it is told from none by the times that are stored
alone, so these are moved instead, the other way.
"""

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from tests.crash.stage import Stage
from tests.support.deployment import wait_for

DAY = 86400


@pytest.fixture
def jumping(running: Stage) -> Iterator[Stage]:
    """The stage, whose clocks are right again at the end."""
    yield running
    running.skew.unlink(missing_ok=True)


@pytest.mark.parametrize("jump", [DAY, -DAY], ids=["forward", "back"])
def test_a_workers_clock_jumps(jumping: Stage, undisturbed: dict, jump: int) -> None:
    jumping.order("mid-capture", "wait")
    evaluation_id = jumping.ask()
    wait_for(lambda: jumping.taken("mid-capture"))
    jumping.skew.write_text(str(jump))
    jumping.clear_waiting()
    assert jumping.answered_once(evaluation_id) == 1


def test_the_databases_clock_jumps_forward(running: Stage, undisturbed: dict) -> None:
    """Every lease is over at once; the one who had it finds out, and changes nothing."""
    running.order("mid-capture", "wait")
    evaluation_id = running.ask()
    wait_for(lambda: running.taken("mid-capture"))
    _move_stored_times(running, "- interval '1 hour'")
    assert running.world.wait(evaluation_id).state == "succeeded"
    running.clear_waiting()
    assert running.answered_once(evaluation_id) in (1, 2)


def test_the_databases_clock_jumps_back(running: Stage, undisturbed: dict) -> None:
    """A dead worker's lease, or a message put off, does not last until the clock has caught up."""
    running.order("mid-capture", "freeze")
    evaluation_id = running.ask()
    (frozen,) = wait_for(lambda: running.taken("mid-capture"))
    _move_stored_times(running, "+ interval '1 hour'")
    assert running.world.wait(evaluation_id, 30).state == "succeeded"
    running.wake(frozen)
    assert running.answered_once(evaluation_id) == 2


def _move_stored_times(stage: Stage, change: str) -> None:
    with stage.world.database.unit_of_work() as session:
        session.execute(
            text(
                f"UPDATE shards SET lease_expires_at = lease_expires_at {change}, "  # noqa: S608
                f"announced_at = announced_at {change}, queued_at = queued_at {change}"
            )
        )
        session.execute(
            text(f"UPDATE outbox SET available_at = available_at {change}")  # noqa: S608
        )
