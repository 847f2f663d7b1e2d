"""Every migration up, down, and up again on a database whose every table has rows in it."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Engine, MetaData, Table, create_engine, func, select, text
from sqlalchemy.engine import make_url

from app.core.ids import new_id
from app.core.migrate import alembic_config, current_and_head, downgrade, upgrade

REVISIONS = [
    script.revision
    for script in reversed([*ScriptDirectory.from_config(alembic_config()).walk_revisions()])
]
WANTED = {("shards", "evaluation_id"), ("monitors", "feature_set_version_id")}
"""Nullable columns that a check wants filled."""

_MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_ALLOWED = (re.compile(r"(\w+) = '([^']+)'"), re.compile(r"(\w+) = ANY \(\(?ARRAY\['([^']+)'"))
"""The second kind says more."""


@pytest.fixture
def engine(postgres_url: str) -> Iterator[Engine]:
    """An empty database."""
    name = f"test_{new_id().hex}"
    admin = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine = create_engine(make_url(postgres_url).set(database=name))
    yield engine
    engine.dispose()
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


def test_rows_of_every_revision_survive_all_that_follow(engine: Engine) -> None:
    """Each table is filled as soon as there is one, and again below each later migration."""
    for revision in REVISIONS:
        before = _contents(engine)
        upgrade(engine, revision)
        _kept(before, _contents(engine), f"up to {revision}")
        _fill_empty_tables(engine)
    assert current_and_head(engine)[0] == REVISIONS[-1]
    assert all(_contents(engine).values()), "a table that nothing was put into"

    for revision in reversed(REVISIONS[:-1]):
        before = _contents(engine)
        downgrade(engine, revision)
        after = _contents(engine)
        _kept({name: before[name] for name in after}, after, f"down to {revision}")
        _fill_empty_tables(engine)

    for revision in REVISIONS[1:]:
        before = _contents(engine)
        upgrade(engine, revision)
        _kept(before, _contents(engine), f"up again to {revision}")


def _kept(before: dict[str, int], after: dict[str, int], step: str) -> None:
    for name, rows in before.items():
        assert after.get(name) == rows, f"{step}: {name} had {rows} rows, now {after.get(name)}"


def _contents(engine: Engine) -> dict[str, int]:
    """How many rows each table has."""
    metadata = _reflected(engine)
    with engine.connect() as connection:
        return {
            table.name: connection.scalar(select(func.count()).select_from(table)) or 0
            for table in metadata.sorted_tables
        }


def _reflected(engine: Engine) -> MetaData:
    metadata = MetaData()
    metadata.reflect(engine)
    if "alembic_version" in metadata.tables:
        metadata.remove(metadata.tables["alembic_version"])
    return metadata


def _fill_empty_tables(engine: Engine) -> None:
    metadata = _reflected(engine)
    with engine.begin() as connection:
        allowed = _allowed(connection)
        for table in metadata.sorted_tables:
            if connection.scalar(select(func.count()).select_from(table)):
                continue
            row = {
                column.name: _value(connection, table, column, allowed)
                for column in table.columns
                if _is_needed(table, column)
            }
            connection.execute(table.insert().values(row))


def _is_needed(table: Table, column: Column[Any]) -> bool:
    if column.identity is not None or column.computed is not None:
        return False
    return not column.nullable or (table.name, column.name) in WANTED


def _value(
    connection: Any, table: Table, column: Column[Any], allowed: dict[tuple[str, str], str]
) -> Any:
    for key in column.foreign_keys:
        return connection.scalar(select(key.column).limit(1))
    if (table.name, column.name) in allowed:
        return allowed[table.name, column.name]
    kind = str(column.type).upper()
    if kind.startswith("JSON"):
        return [] if _is_list(column) else {}
    values: dict[str, Any] = {
        "UUID": uuid4(),
        "TEXT": "x",
        "BOOLEAN": False,
        "TIMESTAMP": _MOMENT,
        "DATE": date(2026, 1, 1),
        "INTEGER": 1,
        "BIGINT": 1,
        "DOUBLE PRECISION": 0.5,
        "BYTEA": b"x" * 32,
    }
    return values[kind.partition("(")[0].removesuffix(" WITH TIME ZONE").strip()]


def _is_list(column: Column[Any]) -> bool:
    default = getattr(column.server_default, "arg", None)
    return default is not None and isinstance(_parsed(str(default)), list)


def _parsed(default: str) -> Any:
    literal = re.match(r"'(.*)'::jsonb", default)
    return json.loads(literal[1]) if literal else None


def _allowed(connection: Any) -> dict[tuple[str, str], str]:
    """(table, column) → the first value that its check allows."""
    checks = connection.execute(
        text(
            "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint "
            "WHERE contype = 'c'"
        )
    ).all()
    return {
        (table, column): value
        for pattern in _ALLOWED
        for table, definition in checks
        for column, value in pattern.findall(definition)
    }
