"""The fault matrix: one of two dispatchers fails, and the other one goes on."""

from collections.abc import Iterator

import pytest

from tests.crash import cells
from tests.crash.matrix import FAULTS, Point, rows
from tests.crash.stage import Stage
from tests.support.forked import ForkedProcess


@pytest.fixture(scope="module")
def pair(stage: Stage) -> Iterator[list[ForkedProcess]]:
    """Two dispatchers; those that a test has ended are replaced by `dispatchers`."""
    _ = stage.undisturbed
    started: list[ForkedProcess] = []
    yield started
    for one in started:
        if one.poll() is None:
            one.kill()
            one.wait()


@pytest.fixture
def dispatchers(stage: Stage, pair: list[ForkedProcess]) -> list[ForkedProcess]:
    """Two living dispatchers."""
    pair[:] = [one for one in pair if one.poll() is None]
    while len(pair) < 2:
        pair.append(stage.start_dispatcher())
    return pair


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("row", rows("dispatcher"), ids=lambda row: row.name)
def test_a_dispatcher_that_fails_is_replaced(
    stage: Stage, dispatchers: list[ForkedProcess], row: Point, fault: str
) -> None:
    cells.strike_dispatcher(stage, dispatchers, row, fault)
