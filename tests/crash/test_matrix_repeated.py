"""The fault matrix: messages that arrive more than once."""

import pytest

from tests.crash import cells
from tests.crash.matrix import Point, rows
from tests.crash.stage import Stage


@pytest.mark.parametrize("times", [2, 3])
@pytest.mark.parametrize("row", rows("worker"), ids=lambda row: row.name)
def test_a_repeated_message_is_worked_on_once(running: Stage, row: Point, times: int) -> None:
    cells.repeat(running, row, times)
