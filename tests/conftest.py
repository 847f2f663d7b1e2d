"""Fixtures that all tests share: real servers, started once per run."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from xdist.scheduler import LoadScopeScheduling

from app.core.database import Database, make_engine
from app.core.ids import new_id
from app.core.migrate import upgrade
from app.embedded.postgres import start_postgres
from app.embedded.redis import RedisServer, start_redis
from app.settings import Settings

# Machines of different size must not give different numbers; and on tensors as small as these a
# second thread only waits for the first.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("FEATUREDRIFT_THREADS", "1")
# Most workers started here see one shard or none, and few of them a dictionary.
os.environ.setdefault("FEATUREDRIFT_PRELOAD", "false")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"


TESTS = Path(__file__).parent
TOGETHER = ("browser/", "crash/test_matrix_", "integration/reports/", "integration/grafana/")
"""Files that share something dear, made once in the process that runs them."""

THOROUGH = (
    "crash/test_matrix_hung",
    "crash/test_matrix_repeated",
    "crash/test_matrix_stopped",
    "crash/test_network",
    "crash/test_upgrade",
    "integration/api/test_stateful",
    "integration/docs/test_tutorial",
    "integration/imports/test_to_the_verdict",
    "integration/suggest/",
)
"""Minutes long each: `make test` leaves them out, CI does not."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what `make test` leaves out."""
    for item in items:
        if item.path.relative_to(TESTS).as_posix().startswith(THOROUGH):
            item.add_marker(pytest.mark.thorough)


class ByFileOrFolder(LoadScopeScheduling):
    """Several processes share the tests out by file, and such files by what they share.

    Not by xdist's own groups: it writes them into names of tests, which pytest 9.2 keeps as they
    are, and every process then makes everything.
    """

    def _split_scope(self, nodeid: str) -> str:
        place = nodeid.partition("::")[0].removeprefix("tests/")
        return next((start for start in TOGETHER if place.startswith(start)), place)


# A run without xdist knows no such hook.
@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling | None:
    """Ours, in place of `--dist loadfile`."""
    return ByFileOrFolder(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def servers_dir() -> Iterator[Path]:
    """A folder for servers' data.

    Not pytest's own: each new run of pytest closes those of all others to all other accounts, and
    a Postgres that was started by root runs as another account.
    """
    with tempfile.TemporaryDirectory(
        prefix="featuredrift-tests-", ignore_cleanup_errors=True
    ) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def postgres_url(servers_dir: Path) -> Iterator[str]:
    """The URL of a real Postgres whose database `template` is migrated to head."""
    server = start_postgres(servers_dir / "postgres")
    url = server.url
    _administer(url, "CREATE DATABASE template")
    engine = create_engine(make_url(url).set(database="template"))
    upgrade(engine)
    engine.dispose()
    yield url
    server.stop()


@pytest.fixture(scope="session")
def redis_server(servers_dir: Path) -> Iterator[RedisServer]:
    """A real redis-server."""
    server = start_redis(servers_dir / "redis")
    yield server
    server.stop()


@pytest.fixture
def database_url(postgres_url: str) -> Iterator[str]:
    """The URL of a fresh, migrated database, dropped after the test."""
    name = f"test_{new_id().hex}"
    _administer(postgres_url, f"CREATE DATABASE {name} TEMPLATE template")
    yield make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
    _administer(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def settings(database_url: str, redis_server: RedisServer, tmp_path: Path) -> Settings:
    """Settings that point at the test's own database and folders."""
    (tmp_path / "models").mkdir()
    return Settings(
        DATABASE_URL=database_url,
        REDIS_URL=redis_server.url,
        data_dir=tmp_path,
        model_roots=(tmp_path / "models",),
    )


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    """Units of work on the test's own database."""
    database = Database(make_engine(settings, application="tests"))
    yield database
    database.dispose()


def _administer(url: str, statement: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()
