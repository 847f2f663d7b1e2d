"""The cells of the fault matrix: strike once at a point, then check everything that is left.

Each cell of a worker's points runs in the same deployment, with its own evaluation of the same
question.
"""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

from app.evaluations.broker import Broker
from app.retention.collector import collect
from app.retention.rules import Rules
from tests.crash.matrix import Point, forget, record
from tests.crash.stage import Stage, wake
from tests.support.deployment import wait_for
from tests.support.forked import ForkedProcess


@contextmanager
def cell(stage: Stage, row: Point, fault: str) -> Iterator[UUID]:
    """Ask; what the block does happens meanwhile; then the outcome is checked and recorded."""
    forget(row, fault)
    evaluation_id = stage.ask()
    try:
        yield evaluation_id
        # The answer may be there before its worker comes by: what is committed can be read at once.
        try:
            wait_for(lambda: stage.taken(row.name), 30)
        except TimeoutError:
            raise AssertionError(f"nobody came by {row.name}") from None
        attempts = stage.answered_once(evaluation_id)
    finally:
        for pid in stage.taken(row.name):
            wake(pid)
        stage.clear()
    record(row, fault, {"attempts": attempts})


def kill(stage: Stage, row: Point) -> None:
    """SIGKILL, as the kernel does when memory runs out."""
    _order(stage, row, "kill")
    with cell(stage, row, "kill") as evaluation_id:
        stage.world.wait(evaluation_id)
        if row.fault_point == "mid-write":
            assert collect_half_written(stage) == 1


def terminate(stage: Stage, row: Point) -> None:
    """SIGTERM to the worker; it ends what it has begun, and another one goes on."""
    _order(stage, row, "wait")
    with cell(stage, row, "terminate"):
        wait_for(lambda: stage.taken(row.name))
        old = stage.worker
        old.process.terminate()
        # As in a rolling restart, its successor starts while it ends what it has begun; and it
        # takes in the signal while its child is still at work.
        stage.worker = stage.start_worker()
        time.sleep(0.2)
        stage.clear_waiting()
        assert old.process.wait(30) == 0
    assert {shard.attempt for shard in stage.world.shards()} == {1}


def hang(stage: Stage, row: Point) -> None:
    """The child stands still, heartbeat and all, until another has done its work; then it wakes."""
    _order(stage, row, "freeze")
    with cell(stage, row, "hang") as evaluation_id:
        (frozen,) = wait_for(lambda: stage.taken(row.name))
        stage.world.wait(evaluation_id)
        before = {shard.id: (shard.state, shard.attempt) for shard in stage.world.shards()}
        wake(frozen)
        stage.settled()
        after = {shard.id: (shard.state, shard.attempt) for shard in stage.world.shards()}
        assert after == before


def full(stage: Stage, row: Point) -> None:
    """Writing fails once for want of space."""
    _order(stage, row, "full")
    with cell(stage, row, "full") as evaluation_id:
        stage.world.wait(evaluation_id)


def repeat(stage: Stage, row: Point, times: int) -> None:
    """The message is delivered while the first delivery is at the point, to idle children."""
    fault = {2: "twice", 3: "thrice"}[times]
    together = row.fault_point == "before-claim"
    for _ in range(times if together else 1):
        _order(stage, row, "wait")
    with cell(stage, row, fault), Broker(stage.settings) as broker, stage.client() as redis:
        wait_for(lambda: stage.taken(row.name))
        shard = _shard_at(stage, row)
        for _ in range(times - 1):
            broker.publish(shard)
        if together:
            # All of them ask the ledger at the same moment.
            wait_for(lambda: len(stage.taken(row.name)) == times)
        else:
            wait_for(lambda: redis.llen(stage.settings.queue) == 0 and redis.hlen("unacked") == 1)
        stage.clear_waiting()
    assert {shard.attempt for shard in stage.world.shards()} == {1}


def strike_dispatcher(
    stage: Stage, dispatchers: list[ForkedProcess], row: Point, fault: str
) -> None:
    """The same faults for the one of two dispatchers that is at work."""
    action = {"kill": "kill", "hang": "freeze", "full": "full"}.get(fault, "wait")
    _order(stage, row, action)
    with cell(stage, row, fault) as evaluation_id:
        (pid,) = wait_for(lambda: stage.taken(row.name))
        (struck,) = [one for one in dispatchers if one.pid == pid]
        if fault == "terminate":
            struck.terminate()
            stage.clear_waiting()
            assert struck.wait(30) == 0
        elif fault in ("twice", "thrice"):
            with Broker(stage.settings) as broker:
                for _ in range({"twice": 1, "thrice": 2}[fault]):
                    broker.publish(stage.world.shards()[0].id)
            stage.clear_waiting()
        stage.world.wait(evaluation_id)
        wake(pid)
    assert struck.poll() in {"kill": (-signal.SIGKILL,), "terminate": (0,)}.get(fault, (None,))


def _order(stage: Stage, row: Point, action: str) -> None:
    """Order a fault for the cell, and not for the undisturbed run that all are compared with."""
    _ = stage.undisturbed
    stage.order(row.name, action)


def _shard_at(stage: Stage, row: Point) -> UUID:
    """The shard whose worker waits at the point."""
    if row.fault_point == "before-claim":
        (only,) = stage.world.shards()
        return only.id
    (pid,) = stage.taken(row.name)
    return next(
        shard.id
        for shard in stage.world.shards()
        if (shard.worker or "").endswith(f":{pid}")
        and (shard.state == "running" or row.fault_point == "before-ack")
        and (not row.name.endswith("@compare") or shard.kind == "compare")
    )


def collect_half_written(stage: Stage) -> int:
    """What a kill may leave has a temporary name, and the collector finds it; how many it found."""
    store = stage.world.store
    left = [key for key in store.list_keys("snapshots") if key.endswith(".tmp")]
    rules = Rules(grace=timedelta(0), leftover_age=timedelta(0))
    outcome = collect(stage.world.database, store, rules, "all")
    assert outcome.collected >= len(left)
    assert not [key for key in left if store.exists(key)]
    return len(left)
