"""The fault matrix: a child that stands still past its lease, and then wakes."""

import pytest

from tests.crash import cells
from tests.crash.matrix import Point, rows
from tests.crash.stage import Stage, wake
from tests.support.deployment import wait_for


@pytest.mark.parametrize("row", rows("worker"), ids=lambda row: row.name)
def test_a_child_that_wakes_after_its_lease_changes_nothing(running: Stage, row: Point) -> None:
    cells.hang(running, row)


def test_a_child_that_wakes_beside_its_successor_is_refused(running: Stage) -> None:
    point = "before-finish@compare"
    _ = running.undisturbed
    running.order(point, "freeze")
    evaluation_id = running.ask()
    (frozen,) = wait_for(lambda: running.taken(point))
    try:
        running.order(point, "wait")
        wait_for(lambda: len(running.taken(point)) == 2, 30)
        wake(frozen)
        # It has all results at hand, writes none of them, and lets go of its message.
        with running.client() as redis:
            wait_for(lambda: redis.hlen("unacked") == 1, 30)
        assert running.world.evaluation(evaluation_id).state == "running"
        running.clear_waiting()
        assert running.answered_once(evaluation_id) == 2
    finally:
        wake(frozen)
        running.clear()
