"""One deployment for all tests of a run, with faults to order."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.core.ids import new_id
from tests.crash.stage import Stage
from tests.support.deployment import dispatching


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder kills real processes."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.crash)


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory, servers_dir: Path) -> Iterator[Stage]:
    """Servers of this folder's own, and a worker whose children obey ordered faults."""
    folder = tmp_path_factory.mktemp("crash")
    with Stage(folder, servers_dir / f"crash-{new_id().hex[-12:]}") as stage:
        yield stage


@pytest.fixture
def running(stage: Stage) -> Iterator[Stage]:
    """The stage with a dispatcher. Whatever was ordered and not taken is withdrawn at the end."""
    with dispatching(stage.settings):
        yield stage
    stage.clear()


@pytest.fixture(scope="session")
def undisturbed(stage: Stage) -> dict[tuple[str, str], object]:
    """What the question's answer is when nothing goes wrong."""
    return stage.undisturbed.numbers
