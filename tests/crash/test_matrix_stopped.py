"""The fault matrix: a worker that is asked to end, at every point."""

import pytest

from tests.crash import cells
from tests.crash.matrix import Point, rows
from tests.crash.stage import Stage


@pytest.mark.parametrize("row", rows("worker"), ids=lambda row: row.name)
def test_a_worker_told_to_end_loses_nothing_and_repeats_nothing(running: Stage, row: Point) -> None:
    cells.terminate(running, row)
