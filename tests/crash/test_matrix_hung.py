"""The fault matrix: a child that stands still past its lease, and then wakes."""

import pytest

from tests.crash import cells
from tests.crash.matrix import Point, rows
from tests.crash.stage import Stage


@pytest.mark.parametrize("row", rows("worker"), ids=lambda row: row.name)
def test_a_child_that_wakes_after_its_lease_changes_nothing(running: Stage, row: Point) -> None:
    cells.hang(running, row)
