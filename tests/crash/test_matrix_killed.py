"""The fault matrix: a child that is killed, at every point."""

import pytest

from tests.crash import cells
from tests.crash.matrix import Point, rows
from tests.crash.stage import Stage


@pytest.mark.parametrize("row", rows("worker"), ids=lambda row: row.name)
def test_a_killed_child_changes_no_number(running: Stage, row: Point) -> None:
    cells.kill(running, row)


@pytest.mark.parametrize("row", rows("worker"), ids=lambda row: row.name)
def test_a_full_disk_for_a_moment_changes_no_number(running: Stage, row: Point) -> None:
    cells.full(running, row)
