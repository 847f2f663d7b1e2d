"""A deployment whose processes and servers may be killed."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import create_engine

from app.core.ids import new_id
from app.core.migrate import upgrade
from app.embedded.postgres import PostgresServer, start_postgres
from app.embedded.redis import RedisServer, start_redis
from app.evaluations.tables import Evaluation
from app.settings import Settings
from tests.support.deployment import (
    Worker,
    World,
    connected,
    dispatching,
    features_of_all_kinds,
    save_dictionary,
    working,
)
from tests.support.models import save_checkpoint


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder kills real processes."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.crash)


class Stage:
    """Servers that can be restarted, faults that can be ordered, and one question to ask."""

    def __init__(self, folder: Path, servers: Path) -> None:
        self.folder = folder
        self.servers = servers
        self.faults = folder / "faults"
        self.faults.mkdir()
        (folder / "models").mkdir()
        self.postgres: PostgresServer = start_postgres(servers / "postgres")
        self.redis: RedisServer = start_redis(servers / "redis")
        self.settings = Settings(
            DATABASE_URL=self.postgres.url,
            REDIS_URL=self.redis.url,
            queue=f"q{new_id().hex}",
            data_dir=folder,
            model_roots=(folder / "models",),
            threads=1,
            sequence_length=64,
            batch_tokens=512,
            tokens_per_shard=2048,
            lease_seconds=2,
            heartbeat_seconds=0.5,
            republish_after=2,
            shard_soft_limit=15,
            shard_hard_limit=30,
            visibility_timeout=60,
        )
        engine = create_engine(self.settings.database_url)
        upgrade(engine)
        engine.dispose()
        self.world: World
        self.worker: Worker
        self._question: tuple[UUID, UUID, UUID] | None = None

    def order(self, point: str, action: str, name: str | None = None) -> Path:
        """Order a fault at a point; see `app.core.faults`."""
        path = self.faults / f"{point}.{name or new_id().hex}"
        path.write_text(action)
        return path

    def taken(self, point: str) -> list[int]:
        """Process ids of those that took an order."""
        return [int(p.name.split("-")[1]) for p in self.faults.glob(f"taken-*-{point}.*")]

    def clear(self) -> None:
        """Withdraw all orders."""
        for path in self.faults.iterdir():
            path.unlink()

    def ask(self) -> UUID:
        """Accept an evaluation of the same question; snapshots of the last one are forgotten."""
        if self._question is None:
            root = self.folder / "models"
            dictionary = self.world.dictionary(save_dictionary(root / "dictionary"))
            model = self.world.model()
            features = self.world.feature_set(features_of_all_kinds(dictionary))
            self._question = (
                self.world.monitor(model, self.world.corpus(), feature_set=features),
                self.world.checkpoint(model, save_checkpoint(root / "other", seed=1)),
                self.world.checkpoint(model, save_checkpoint(root / "base")),
            )
        else:
            self.world.forget_snapshots()
        return self.world.evaluate(*self._question)

    def answer(self) -> Evaluation:
        """Ask, and wait for the end."""
        return self.world.wait(self.ask())

    def close(self) -> None:
        """Stop the servers."""
        self.redis.stop()
        self.postgres.stop()


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory, servers_dir: Path) -> Iterator[Stage]:
    """Servers of this folder's own, and a worker of two children that obey ordered faults."""
    stage = Stage(tmp_path_factory.mktemp("crash"), servers_dir / f"crash-{new_id().hex}")
    log = stage.folder / "worker.log"
    try:
        with (
            connected(stage.settings) as world,
            working(stage.settings, log, 2, stage.faults) as worker,
        ):
            stage.world, stage.worker = world, worker
            yield stage
    finally:
        stage.close()


@pytest.fixture
def running(stage: Stage) -> Iterator[Stage]:
    """The stage with a dispatcher. Whatever was ordered and not taken is withdrawn at the end."""
    with dispatching(stage.settings):
        yield stage
    stage.clear()


@pytest.fixture(scope="session")
def undisturbed(stage: Stage) -> dict[tuple[str, str], object]:
    """What the question's answer is when nothing goes wrong."""
    with dispatching(stage.settings):
        evaluation = stage.answer()
    assert evaluation.state == "succeeded", evaluation.error
    return stage.world.numbers(evaluation.id)


def wake(pid: int) -> None:
    """Let a frozen process go on."""
    os.kill(pid, signal.SIGCONT)
