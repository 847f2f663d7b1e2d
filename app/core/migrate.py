"""Bring a database to the schema of this release."""

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration, with no ini file: the scripts are found beside the package."""
    spec = find_spec("migrations")
    if spec is None or spec.origin is None:
        raise RuntimeError("the package 'migrations' is not installed; reinstall featuredrift")
    config = Config()
    config.set_main_option("script_location", str(Path(spec.origin).parent))
    if connection is not None:
        config.attributes["connection"] = connection
    return config


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Upgrade to a revision; nothing happens when the database is there already."""
    with engine.connect() as connection:
        command.upgrade(alembic_config(connection), revision)
        connection.commit()


def downgrade(engine: Engine, revision: str) -> None:
    """Downgrade to a revision (`base` removes every table)."""
    with engine.connect() as connection:
        command.downgrade(alembic_config(connection), revision)
        connection.commit()


def is_outdated(current: str | None) -> bool:
    """Whether a database at this revision lacks what this release needs.

    A revision that this release does not know is a later one's. Each migration works with the
    release before it, so that a deployment can be upgraded one process at a time.
    """
    return current is None or current in _earlier_revisions()


@lru_cache(maxsize=1)
def _earlier_revisions() -> frozenset[str]:
    scripts = ScriptDirectory.from_config(alembic_config())
    return frozenset(one.revision for one in scripts.walk_revisions()) - {
        scripts.get_current_head()
    }


def current_and_head(engine: Engine) -> tuple[str | None, str | None]:
    """The database's revision, and the newest one that this release knows."""
    head = ScriptDirectory.from_config(alembic_config()).get_current_head()
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision(), head
