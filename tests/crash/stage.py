"""A deployment whose processes and servers may be killed, and one question to ask it."""

import os
import signal
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import psutil
from redis import Redis
from sqlalchemy import create_engine

from app.core.ids import new_id
from app.core.migrate import upgrade
from app.embedded.postgres import PostgresServer, start_postgres
from app.embedded.redis import RedisServer, start_redis
from app.evaluations.tables import Evaluation
from app.monitors.tables import Monitor
from app.registry.tables import Checkpoint
from app.settings import Settings
from app.webhooks.tables import Webhook
from tests.crash import facts
from tests.support.deployment import (
    Worker,
    World,
    connected,
    dispatching,
    fault_environment,
    features_of_all_kinds,
    save_dictionary,
    wait_for,
)
from tests.support.forked import ForkedProcess, run_dispatcher
from tests.support.models import save_checkpoint
from tests.support.proxy import Proxy

CHILDREN = 3


@dataclass(frozen=True)
class Undisturbed:
    """What the question's answer is when nothing goes wrong."""

    numbers: dict[tuple[str, str], object]
    results: dict[str, list[dict[str, Any]]]
    files: Counter[tuple[str, str]]


class Stage:
    """Servers that can be restarted, faults that can be ordered, and one question to ask."""

    def __init__(
        self,
        folder: Path,
        servers: Path,
        *,
        proxied: bool = False,
        children: int = CHILDREN,
        **settings: Any,
    ) -> None:
        """Start the servers; `proxied` puts a proxy between Redis and everybody."""
        self.folder = folder
        self.children = children
        self.servers = servers
        self.faults = folder / "faults"
        self.faults.mkdir()
        (folder / "models").mkdir()
        self.postgres: PostgresServer = start_postgres(servers / "postgres")
        self.redis: RedisServer = start_redis(servers / "redis")
        self.proxy = Proxy(servers / "redis" / "redis.sock")
        self.skew = folder / "skew"
        values: dict[str, Any] = {
            "DATABASE_URL": self.postgres.url,
            "REDIS_URL": (f"redis://127.0.0.1:{self.proxy.port}/0" if proxied else self.redis.url),
            "queue": f"q{new_id().hex}",
            "data_dir": folder,
            "model_roots": (folder / "models",),
            "threads": 1,
            "sequence_length": 64,
            "batch_tokens": 512,
            "tokens_per_shard": 4096,
            "lease_seconds": 1.5,
            "heartbeat_seconds": 0.25,
            "republish_after": 2,
            "shard_soft_limit": 8,
            "shard_hard_limit": 12,
            "visibility_timeout": 60,
        }
        self.settings = Settings(**{**values, **settings})
        engine = create_engine(self.settings.database_url)
        upgrade(engine)
        engine.dispose()
        self.world: World
        self.worker: Worker
        self._question: tuple[UUID, UUID, UUID] | None = None
        self._undisturbed: Undisturbed | None = None

    def start_worker(self, settings: Settings | None = None) -> Worker:
        """One more worker that obeys orders."""
        settings = settings or self.settings
        log = self.folder / "worker.log"
        return Worker(settings, log, self.children, self.faults, forked=True, skew=self.skew)

    def replace_worker(self) -> None:
        """A new worker in the place of one that has ended."""
        assert self.worker.process.poll() is not None
        self.worker = self.start_worker()

    def start_dispatcher(self) -> ForkedProcess:
        """A dispatcher in a process of its own, that obeys orders."""
        environment = fault_environment(self.settings, self.faults)
        log = self.folder / "dispatcher.log"
        return ForkedProcess(run_dispatcher, [], env=environment, log=log)

    def order(self, point: str, action: str, name: str | None = None) -> Path:
        """Order a fault at a point; see `app.core.faults`."""
        path = self.faults / f"{point}.{name or new_id().hex}"
        draft = self.faults / f"draft-{new_id().hex}"
        draft.write_text(action)
        return draft.rename(path)

    def taken(self, point: str) -> list[int]:
        """Process ids of those that took an order."""
        return [int(p.name.split("-")[1]) for p in self.faults.glob(f"taken-*-{point}.*")]

    def clear(self) -> None:
        """Withdraw all orders, and let those go on that wait at one."""
        for path in self.faults.iterdir():
            path.unlink(missing_ok=True)

    def clear_waiting(self) -> None:
        """Let those go on that wait at a point; who took an order is still known."""
        for path in self.faults.glob("taken-*"):
            path.rename(path.with_name(f"{path.name}.done"))

    def ask(self) -> UUID:
        """Accept an evaluation of the same question; snapshots of the last one are forgotten."""
        if self._question is None:
            with self.world.database.unit_of_work() as session:
                # Nobody listens there; what is to be sent is counted.
                session.add(
                    Webhook(
                        id=new_id(),
                        url="https://127.0.0.1:9/",
                        events=["evaluation.finished"],
                        models=[],
                        monitors=[],
                        secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                    )
                )
            self._question = self.make_question()
        else:
            self.world.forget_snapshots()
        return self.world.evaluate(*self._question)

    def make_question(self) -> tuple[UUID, UUID, UUID]:
        """Register what is asked about: a monitor, the candidate and the baseline."""
        root = self.folder / "models"
        dictionary = self.world.dictionary(save_dictionary(root / "dictionary"))
        model = self.world.model()
        features = self.world.feature_set(features_of_all_kinds(dictionary))
        return (
            self.world.monitor(model, self.world.corpus(), feature_set=features),
            self.world.checkpoint(model, save_checkpoint(root / "other", seed=1)),
            self.world.checkpoint(model, save_checkpoint(root / "base")),
        )

    def answer(self) -> Evaluation:
        """Ask, and wait for the end."""
        return self.world.wait(self.ask())

    def ask_others(self, count: int) -> list[UUID]:
        """The same question by as many other monitors: they wait for the same snapshots."""
        assert self._question is not None
        monitor, candidate, baseline = self._question
        with self.world.database.unit_of_work() as session:
            row = session.get_one(Monitor, monitor)
        others = [
            self.world.monitor(row.model_id, row.corpus_id, feature_set=row.feature_set_version_id)
            for _ in range(count)
        ]
        return [self.world.evaluate(other, candidate, baseline) for other in others]

    def ask_about(self, checkpoint: Path) -> tuple[UUID, str]:
        """The same monitor's question about another checkpoint; also the checkpoint's name."""
        assert self._question is not None
        monitor, _, baseline = self._question
        with self.world.database.unit_of_work() as session:
            model = session.get_one(Monitor, monitor).model_id
        candidate = self.world.checkpoint(model, checkpoint)
        with self.world.database.unit_of_work() as session:
            name = session.get_one(Checkpoint, candidate).name
        return self.world.evaluate(monitor, candidate, baseline), name

    @property
    def undisturbed(self) -> Undisturbed:
        """The answer that every disturbed run must give."""
        if self._undisturbed is None:
            with dispatching(self.settings):
                evaluation = self.answer()
                # Its worker may still be on the way past the last points; no order is for this run.
                self.settled()
            assert evaluation.state == "succeeded", evaluation.error
            found = evaluation.id
            self._undisturbed = Undisturbed(
                self.world.numbers(found),
                facts.results(self.world, found),
                facts.files(self.world, found),
            )
        return self._undisturbed

    def answered_once(self, evaluation_id: UUID, timeout: float = 60) -> int:
        """Wait for an evaluation's end, and check everything that it left.

        Returns:
            The most attempts that one of its shards took.
        """
        evaluation = self.world.wait(evaluation_id, timeout)
        assert evaluation.state == "succeeded", evaluation.error
        self.settled()
        self.as_undisturbed(evaluation_id)
        shards = self.world.shards()
        assert {shard.state for shard in shards} == {"succeeded"}
        return max(shard.attempt for shard in shards)

    def as_undisturbed(self, evaluation_id: UUID) -> None:
        """Exactly one result set, the right numbers, and no file but the right ones."""
        expected = self.undisturbed
        assert facts.results(self.world, evaluation_id) == expected.results
        assert facts.files(self.world, evaluation_id) == expected.files
        assert facts.result_sets(self.world, evaluation_id) == {"told": 1, "page shares": 1}

    def wake(self, pid: int) -> None:
        """Let a frozen process go on."""
        wake(pid)

    def settled(self, timeout: float = 30) -> None:
        """Wait until nothing is left to do, in the ledger or in the broker."""
        with self.client() as redis:
            try:
                wait_for(lambda: not any(facts.stuck(self.world, redis).values()), timeout)
            except TimeoutError:
                raise AssertionError(facts.stuck(self.world, redis)) from None

    def client(self) -> Redis:
        """A client of the broker."""
        return Redis(unix_socket_path=str(self.servers / "redis" / "redis.sock"))

    def __enter__(self) -> Self:
        self.proxy.__enter__()
        self._connected = connected(self.settings)
        self.world = self._connected.__enter__()
        self.worker = self.start_worker()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the worker and the servers."""
        self.clear()
        if self.worker.process.poll() is None:
            for child in self.worker.children():
                wake(child.pid)
            self.worker.stop()
        self._connected.__exit__(None, None, None)
        self.proxy.__exit__(None, None, None)
        self.redis.stop()
        self.postgres.stop()


def wake(pid: int) -> None:
    """Let a frozen process go on; one that has died meanwhile is none."""
    if psutil.pid_exists(pid):
        os.kill(pid, signal.SIGCONT)
