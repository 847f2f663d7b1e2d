"""The fault matrix: at which points what is done to a process, and what must come of it.

`docs/guarantees.md` has a row for each point and a column for each fault; `python -m
tools.guarantees --check` fails where it lacks one.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.core.faults import POINTS

OUTCOMES = Path(__file__).parents[2] / "build" / "crash"
"""Where each cell writes what became of it."""

FAULTS = {
    "kill": "SIGKILL",
    "terminate": "SIGTERM",
    "hang": "stopped past the lease, then woken",
    "full": "no space left on device",
    "twice": "the same message twice",
    "thrice": "the same message three times",
}


@dataclass(frozen=True)
class Point:
    """A row of the matrix.

    Attributes:
        name: the fault point, and after `@` the kind of shard, where several pass it.
        process: which process is struck.
        means: what has just happened, or is about to.
    """

    name: str
    process: str
    means: str

    @property
    def fault_point(self) -> str:
        """Its name in `app.core.faults.POINTS`."""
        return self.name.partition("@")[0]


ROWS = (
    Point("before-claim", "worker", "the message is received, the ledger not yet asked"),
    Point("after-claim@plan", "worker", "the plan shard is claimed"),
    Point("before-finish@plan", "worker", "planned, and not recorded"),
    Point("after-claim@capture", "worker", "a capture shard is claimed"),
    Point("mid-capture", "worker", "between two batches"),
    Point("mid-write", "worker", "a file of the snapshot has its temporary name"),
    Point("after-artifact", "worker", "the shard's files are in place"),
    Point("before-manifest", "worker", "all shards are captured, the snapshot has no manifest"),
    Point("before-finish@capture", "worker", "the manifest is written and not recorded"),
    Point("after-claim@compare", "worker", "the compare shard is claimed"),
    Point("before-finish@compare", "worker", "all is judged and nothing written"),
    Point("after-copy", "worker", "the results are copied, the transaction is open"),
    Point("before-ack@compare", "worker", "committed, the message not acknowledged"),
    Point("before-publish", "dispatcher", "the outbox is read, nothing published"),
    Point("after-publish", "dispatcher", "published, and not recorded"),
)

_DELIVERY = {
    "kill": "tests/integration/webhooks/test_killed.py",
    "terminate": "tests/integration/webhooks/test_killed.py::"
    "test_sigterm_ends_a_dispatcher_in_order_while_it_delivers",
    "hang": "tests/integration/webhooks/test_delivery.py::"
    "test_what_a_lost_attempt_brings_home_changes_nothing",
    "full": "tests/integration/webhooks/test_faults.py",
    "twice": "no message: deliveries are claimed in Postgres",
    "thrice": "no message: deliveries are claimed in Postgres",
}
_COLLECTOR = {
    "kill": "tests/integration/retention/test_command.py",
    "terminate": "as SIGKILL: the command does not handle it",
    "hang": "tests/integration/retention/test_faults.py::"
    "test_beside_a_collector_that_stands_still_no_other_works",
    "full": "tests/integration/retention/test_faults.py::"
    "test_a_collector_without_space_ends_its_work_the_next_time",
    "twice": "no message: it runs on a timer or by hand, and one at a time",
    "thrice": "no message: it runs on a timer or by hand, and one at a time",
}
ELSEWHERE = {
    "before-delivery": _DELIVERY,
    "after-delivery": _DELIVERY,
    "collector-marked": _COLLECTOR,
    "collector-condemned": _COLLECTOR,
    "collector-deleting": _COLLECTOR,
    "collector-deleted": _COLLECTOR,
}
"""Points with no evaluation at work: by fault the test that strikes there, or why none can."""


def uncovered() -> set[str]:
    """Fault points that neither the matrix nor another test covers."""
    return set(POINTS) - {row.fault_point for row in ROWS} - set(ELSEWHERE)


def rows(process: str) -> list[Point]:
    """The points at which one kind of process is struck."""
    return [row for row in ROWS if row.process == process]


def forget(row: Point, fault: str) -> None:
    """Drop what an earlier run found: of a cell that fails now nothing is written."""
    _outcome(row, fault).unlink(missing_ok=True)


def record(row: Point, fault: str, outcome: dict[str, Any]) -> None:
    """Keep what became of a cell for the table."""
    path = _outcome(row, fault)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"point": row.name, "fault": fault, **outcome}, sort_keys=True))


def _outcome(row: Point, fault: str) -> Path:
    return OUTCOMES / fault / f"{row.name}.json"
