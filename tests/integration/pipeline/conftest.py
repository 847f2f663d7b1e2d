"""One deployment with one worker for all tests of this folder: starting it costs seconds."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from app.core.ids import new_id
from app.embedded.redis import RedisServer
from app.settings import Settings
from tests.support.deployment import World, connected, dispatching, save_dictionary, working
from tests.support.models import save_checkpoint


@pytest.fixture(scope="session")
def deployment_settings(
    postgres_url: str, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    """Settings of a deployment with small shards and short leases."""
    folder = tmp_path_factory.mktemp("deployment")
    (folder / "models").mkdir()
    name = f"test_{new_id().hex}"
    server = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE template"))
    yield Settings(
        DATABASE_URL=make_url(postgres_url)
        .set(database=name)
        .render_as_string(hide_password=False),
        REDIS_URL=redis_server.url,
        queue=name,
        data_dir=folder,
        model_roots=(folder / "models",),
        threads=1,
        sequence_length=64,
        batch_tokens=512,
        tokens_per_shard=1024,
        lease_seconds=4,
        heartbeat_seconds=1,
        republish_after=2,
    )
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()


@pytest.fixture(scope="session")
def checkpoints(deployment_settings: Settings) -> dict[str, Path]:
    """Folders with checkpoints: the base, the same weights again, and others."""
    root = deployment_settings.allowed_roots[0]
    return {
        "base": save_checkpoint(root / "base"),
        "same": save_checkpoint(root / "same"),
        "other": save_checkpoint(root / "other", seed=1),
        "dictionary": save_dictionary(root / "dictionary"),
    }


@pytest.fixture(scope="session")
def world(deployment_settings: Settings, checkpoints: dict[str, Path]) -> Iterator[World]:
    """A running deployment."""
    log = deployment_settings.data_dir / "worker.log"
    with (
        connected(deployment_settings) as world,
        dispatching(deployment_settings),
        working(deployment_settings, log, forked=True),
    ):
        yield world
