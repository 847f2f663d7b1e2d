"""A collector that fails for want of space, or stands still, at each of its points."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from app.core import faults
from app.core.artifacts import ArtifactStore
from app.core.database import Database
from app.core.errors import ConflictError
from app.retention.collector import collect
from app.retention.rules import Rules
from tests.integration.retention.conftest import Line, key_of
from tests.support.deployment import wait_for

POINTS = ("collector-marked", "collector-condemned", "collector-deleting", "collector-deleted")
RULES = Rules(grace=timedelta(0), leftover_age=timedelta(days=1))


@pytest.fixture
def orders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where this process's own faults are ordered."""
    folder = tmp_path / "faults"
    folder.mkdir()
    monkeypatch.setattr(faults, "_FOLDER", str(folder))
    yield folder
    for order in folder.iterdir():
        order.unlink()


@pytest.fixture
def evaluated(line: Line) -> Line:
    """Two evaluated checkpoints, of which the policy keeps one."""
    for name in ("c0", "c1"):
        line.evaluate(name)
    line.policy(keep_last=1)
    return line


def _assert_collected(line: Line) -> None:
    assert [line.files(label) for label in ("c0", "no_op c0")] == [0, 0]
    assert line.states("c0", "no_op c0") == ["collected"] * 2
    assert line.states("c1", "baseline", "no_op c1") == ["complete"] * 3


@pytest.mark.parametrize("point", POINTS)
def test_a_collector_without_space_ends_its_work_the_next_time(
    evaluated: Line, database: Database, store: ArtifactStore, orders: Path, point: str
) -> None:
    (orders / f"{point}.one").write_text("full")
    with pytest.raises(OSError, match="No space left"):
        collect(database, store, RULES, "all")
    for label in ("c0", "no_op c0"):
        manifest = store.exists(f"snapshots/{key_of(label)}/manifest.json")
        assert manifest is (evaluated.files(label) == 3)
    collect(database, store, RULES, "all")
    _assert_collected(evaluated)


@pytest.mark.parametrize("point", POINTS)
def test_beside_a_collector_that_stands_still_no_other_works(
    evaluated: Line, database: Database, store: ArtifactStore, orders: Path, point: str
) -> None:
    (orders / f"{point}.one").write_text("wait")
    first = threading.Thread(target=collect, args=(database, store, RULES, "all"))
    first.start()
    (taken,) = wait_for(lambda: list(orders.glob("taken-*")))
    with pytest.raises(ConflictError, match="another collector is at work"):
        collect(database, store, RULES, "all")
    taken.unlink()
    first.join(30)
    assert not first.is_alive()
    _assert_collected(evaluated)
