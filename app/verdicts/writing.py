"""Writing the results of an evaluation: all of them or none, in the caller's transaction."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from psycopg import sql
from sqlalchemy import delete, text
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import Session

from app.core.digests import canonical_json
from app.verdicts.tables import Control, DictionaryHealth, Verdict

_COLUMNS = tuple(column.name for column in Verdict.__table__.columns)
_JSON = frozenset(c.name for c in Verdict.__table__.columns if isinstance(c.type, JSONB))
_KEY = ("evaluation_id", "comparison", "feature")


def replace_results(
    session: Session,
    evaluation_id: UUID,
    *,
    verdicts: Iterable[Mapping[str, Any]],
    controls: Sequence[Mapping[str, Any]],
    health: Sequence[Mapping[str, Any]],
) -> None:
    """Replace all results of an evaluation.

    Args:
        verdicts: rows of `verdicts` without `evaluation_id`; every other column must be given.
        controls: rows of `controls`, likewise.
        health: rows of `dictionary_health`, likewise.

    Raises:
        KeyError: a verdict lacks a column.
    """
    for table in (Verdict, Control, DictionaryHealth):
        session.execute(delete(table).where(table.evaluation_id == evaluation_id))
    _copy_verdicts(session, evaluation_id, verdicts)
    for table, rows in ((Control, controls), (DictionaryHealth, health)):
        if rows:
            session.execute(
                insert(table),
                [{"evaluation_id": evaluation_id, **finite_json(dict(row))} for row in rows],
            )


def finite_json(value: Any) -> Any:
    """A value whose NaN and infinities are null: neither JSON nor a reader knows them."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite_json(item) for item in value]
    return value


def _copy_verdicts(
    session: Session, evaluation_id: UUID, verdicts: Iterable[Mapping[str, Any]]
) -> None:
    """COPY into a temporary table, then one INSERT in key order: quick, and free of deadlocks."""
    session.execute(
        text("CREATE TEMPORARY TABLE incoming (LIKE verdicts INCLUDING DEFAULTS) ON COMMIT DROP")
    )
    driver = session.connection().connection.driver_connection
    if driver is None:
        raise RuntimeError("the session has no connection")
    statement = sql.SQL("COPY incoming ({}) FROM STDIN").format(
        sql.SQL(", ").join(map(sql.Identifier, _COLUMNS))
    )
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for verdict in verdicts:
            row = {"evaluation_id": evaluation_id, **verdict}
            copy.write_row([_field(name, row[name]) for name in _COLUMNS])
    columns = ", ".join(_COLUMNS)
    updates = ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS if name not in _KEY)
    key = ", ".join(_KEY)
    session.execute(
        text(
            f"INSERT INTO verdicts ({columns}) SELECT {columns} FROM incoming ORDER BY {key} "  # noqa: S608 - the table's own column names
            f"ON CONFLICT ({key}) DO UPDATE SET {updates}"
        )
    )


def _field(name: str, value: Any) -> Any:
    value = finite_json(value)
    if value is None:
        return None  # SQL's null, also in a JSONB column: there is nothing, not a JSON null.
    return canonical_json(value).decode() if name in _JSON else value
