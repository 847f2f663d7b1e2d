"""Migrations go up, come down, and agree with the tables."""

import pytest
from alembic import command
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, inspect, text

from app.core.errors import StartError
from app.core.migrate import alembic_config, current_and_head, downgrade, upgrade
from app.core.reachable import require_postgres
from app.main import create_app
from app.settings import Settings
from app.tables import Base


def test_the_migrated_database_is_what_the_tables_declare(database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.connect() as connection:
        command.check(alembic_config(connection))  # raises on a difference
    assert set(Base.metadata.tables) < set(inspect(engine).get_table_names())
    engine.dispose()


def test_downgrade_removes_everything_and_upgrade_brings_it_back(database_url: str) -> None:
    engine = create_engine(database_url)
    downgrade(engine, "base")
    assert set(inspect(engine).get_table_names()) == {"alembic_version"}
    assert current_and_head(engine)[0] is None
    upgrade(engine)
    revision, head = current_and_head(engine)
    assert revision == head is not None
    assert set(Base.metadata.tables) < set(inspect(engine).get_table_names())
    engine.dispose()


def test_an_older_schema_is_refused_and_a_later_releases_is_not(settings: Settings) -> None:
    """So that a deployment can be upgraded one process at a time, the database first."""
    engine = create_engine(settings.database_url)
    with TestClient(create_app(settings)) as client:
        for revision, ready in (("0001", False), ("from-a-later-release", True)):
            with engine.begin() as connection:
                connection.execute(
                    text("UPDATE alembic_version SET version_num = :it"), {"it": revision}
                )
            assert client.get("/readyz").is_success is ready
            if ready:
                require_postgres(settings)
            else:
                with pytest.raises(StartError, match="featuredrift migrate"):
                    require_postgres(settings)
    engine.dispose()
