"""Migrations go up, come down, and agree with the tables."""

from alembic import command
from sqlalchemy import create_engine, inspect

from app.core.migrate import alembic_config, current_and_head, downgrade, upgrade
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
