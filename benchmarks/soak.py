"""Evaluations of a tiny model by several workers, some of which are killed all the time.

    python -m benchmarks.soak --minutes 10 --evaluations 5000

Everything is real: Postgres, Redis, dispatcher and worker processes, each of one child. At the end
every evaluation must be answered, once, with the same numbers, nothing may lie about, and nothing
may have grown. One worker is spared, so that growth shows that needs longer than a victim's life.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
from sqlalchemy import func, select, text

from app.core.logging import configure_logging
from app.evaluations.tables import Evaluation
from app.retention.plan import make_plan
from app.retention.rules import Rules
from app.verdicts.tables import Verdict
from benchmarks.machine import describe
from benchmarks.soak_samples import Samples, Watched
from benchmarks.soak_world import SoakStage
from tests.crash import facts
from tests.crash.stage import Stage
from tests.support.deployment import Worker
from tests.support.forked import ForkedProcess

OPEN_AT_MOST = 32
KEPT = Path("build", "soak")
"""Where the logs of a soak that failed are put."""
SAMPLE_SECONDS = 5.0


@dataclass
class Soak:
    """What runs, what was done to it, and what was seen."""

    stage: Stage
    workers: int
    random: random.Random
    running: list[Worker] = field(default_factory=list)
    dispatcher: ForkedProcess | None = None
    kills: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.samples = Samples(self.stage)

    def keep_up(self) -> None:
        """Replace what has died, as a supervisor does."""
        self.running = [one for one in self.running if one.process.poll() is None]
        while len(self.running) < self.workers:
            self.running.append(self.stage.start_worker())
        if self.dispatcher is None or self.dispatcher.poll() is not None:
            self.dispatcher = self.stage.start_dispatcher()

    def kill_something(self) -> None:
        """Mostly a child; now and then a whole worker, or the dispatcher."""
        what = self.random.choices(("child", "worker", "dispatcher"), (8, 1, 1))[0]
        worker = self.random.choice(self.running[1:])
        try:
            if what == "child":
                os.kill(self.random.choice(worker.children()).pid, signal.SIGKILL)
            elif what == "worker":
                worker.kill()
            elif self.dispatcher is not None:
                self.dispatcher.kill()
        except (IndexError, ProcessLookupError, psutil.NoSuchProcess):
            return
        self.kills[what] += 1

    def sample(self) -> None:
        """Look at what could grow."""
        dispatcher = self.dispatcher
        self.samples.take(
            Watched(
                parents=[one.process.pid for one in self.running],
                spared=self.running[0].process.pid,
                dispatcher=dispatcher.pid if dispatcher is not None else None,
            )
        )

    def stop(self) -> None:
        """End all processes."""
        for worker in self.running:
            if worker.process.poll() is None:
                worker.kill()
        if self.dispatcher is not None and self.dispatcher.poll() is None:
            self.dispatcher.kill()


def run(minutes: float, evaluations: int, workers: int, pause: float) -> int:
    """Soak; prints a report. Returns 0 if every promise was kept."""
    with (
        tempfile.TemporaryDirectory(prefix="featuredrift-soak-") as name,
        SoakStage(
            _made(Path(name, "data")),
            Path(name, "servers"),
            children=1,
            tokens_per_shard=1 << 16,
            webhook_retry_delays=(86400.0,),
            max_attempts=20,
            visibility_timeout=30,
            republish_after=20.0,
            lease_seconds=5.0,
            heartbeat_seconds=1.0,
        ) as stage,
    ):
        soak = Soak(stage, workers, random.Random(0))
        expected = stage.undisturbed.numbers
        stage.worker.stop()
        soak.keep_up()
        began = time.monotonic()
        try:
            asked = _feed(soak, began + 60 * minutes, evaluations, pause)
            fed = time.monotonic() - began
            drained = _drain(soak, 180)
            soak.sample()
        finally:
            soak.stop()
        took = time.monotonic() - began
        failures = _judge(stage, asked, expected, drained)
        if failures:
            _keep_what_explains(stage)
        print(f"{describe()}\n")
        each = soak.samples.processor_seconds / max(len(asked), 1)
        print(
            f"{len(asked)} evaluations by {workers} workers; asked within {fed:.0f} s, done after "
            f"{took:.0f} s: {len(asked) / took:.2f} a second, {each:.2f} s of processor time each"
        )
        print(f"killed: {dict(soak.kills)}")
        table, grown = soak.samples.report()
        print("", *table, "", sep="\n")
        failures += grown
        for failure in failures:
            print(f"FAILED: {failure}")
        print("every evaluation was answered, once" if not failures else "promises were broken")
        return 1 if failures else 0


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _feed(soak: Soak, until: float, evaluations: int, pause: float) -> list[UUID]:
    asked: list[UUID] = []
    kill_at = sample_at = time.monotonic() + SAMPLE_SECONDS
    while time.monotonic() < until and len(asked) < evaluations:
        soak.keep_up()
        free = min(OPEN_AT_MOST - _open(soak.stage), evaluations - len(asked))
        asked += soak.stage.ask_others(free) if free > 0 else []
        if time.monotonic() >= kill_at:
            soak.kill_something()
            kill_at = time.monotonic() + soak.random.expovariate(1 / pause)
        if time.monotonic() >= sample_at:
            soak.sample()
            sample_at = time.monotonic() + SAMPLE_SECONDS
        time.sleep(0.1)
    return asked


def _drain(soak: Soak, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        soak.keep_up()
        with soak.stage.client() as redis:
            if not any(facts.stuck(soak.stage.world, redis).values()):
                return True
        time.sleep(0.2)
    return False


def _keep_what_explains(stage: Stage) -> None:
    """The logs, and what is left of the ledger, which would go with the servers."""
    KEPT.mkdir(parents=True, exist_ok=True)
    for log in stage.folder.glob("*.log"):
        shutil.copy(log, KEPT)
    with stage.client() as redis:
        lines = [f"{facts.stuck(stage.world, redis)}"]
    lines += [
        f"{one.id} {one.kind} {one.state} attempt {one.attempt} of {one.worker}, queued "
        f"{one.queued_at}, announced {one.announced_at}, leased to {one.lease_expires_at}: "
        f"{one.error}"
        for one in stage.world.shards()
        if one.state in ("queued", "running", "failed")
    ]
    (KEPT / "ledger.txt").write_text("\n".join(lines) + "\n")
    print(f"logs and ledger are kept in {KEPT}")


def _open(stage: Stage) -> int:
    with stage.world.database.unit_of_work() as session:
        count = session.scalar(
            select(func.count()).where(Evaluation.state.in_(("queued", "running")))
        )
    return count or 0


def _judge(stage: Stage, asked: list[UUID], expected: dict[Any, Any], drained: bool) -> list[str]:
    """What was promised and not kept."""
    failures = [] if drained else ["something was still to be done three minutes after the end"]
    with stage.world.database.unit_of_work() as session:
        states = Counter(session.scalars(select(Evaluation.state).where(Evaluation.id.in_(asked))))
        told = Counter(
            session.scalars(
                text(
                    "SELECT body::jsonb #>> '{data,evaluation}' FROM deliveries "
                    "WHERE event = 'evaluation.finished'"
                )
            )
        )
        rows = Counter(
            session.scalars(select(Verdict.evaluation_id).where(Verdict.comparison == "baseline"))
        )
    if states != {"succeeded": len(asked)}:
        failures.append(f"states {dict(states)} of {len(asked)} evaluations")
    if wrong := [one for one in asked if told[str(one)] != 1]:
        failures.append(f"{len(wrong)} evaluations were not told of exactly once")
    size = sum(comparison == "baseline" for comparison, _ in expected)
    if wrong := [one for one in asked if rows[one] != size]:
        failures.append(f"{len(wrong)} evaluations do not have exactly one result set")
    if wrong := [one for one in asked if stage.world.numbers(one) != expected]:
        failures.append(f"{len(wrong)} evaluations have other numbers")
    rules = Rules(grace=timedelta(0), leftover_age=timedelta(0))
    plan = make_plan(stage.world.database, stage.world.store, rules, "all")
    orphans = Counter(item.kind for item in plan.items)
    print(f"left over: {dict(orphans) or 'nothing'}")
    if set(orphans) - {"temporary"} or plan.unknown:
        failures.append(f"orphan artifacts: {dict(orphans)}, {list(plan.unknown)[:3]}")
    return failures


def main() -> int:
    """Read the command line, and soak."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="ask for so long at most")
    parser.add_argument("--evaluations", type=int, default=5000, help="ask so many at most")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--pause", type=float, default=4.0, help="mean seconds between kills")
    given = parser.parse_args()
    configure_logging("error")
    return run(given.minutes, given.evaluations, given.workers, given.pause)


if __name__ == "__main__":
    sys.exit(main())
