"""Two statements that every repository needs."""

from collections.abc import Sequence
from typing import Any, TypeVar, TypeVarTuple
from uuid import UUID

from sqlalchemy import Select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.core.tables import Base

Table = TypeVar("Table", bound=Base)
Columns = TypeVarTuple("Columns")


def insert_if_absent(
    session: Session, table: type[Table], unique: Sequence[str], **values: Any
) -> Table | None:
    """Insert a row unless its unique columns are taken; None says that they are.

    A concurrent insert of the same key is waited for, so that a select afterwards finds its row.
    """
    statement = (
        insert(table)
        .values(**values)
        .on_conflict_do_nothing(index_elements=list(unique))
        .returning(table)
    )
    return session.scalars(statement).one_or_none()


def newest_first(
    statement: Select[*Columns],
    key: InstrumentedAttribute[UUID],
    after: UUID | None,
    limit: int,
) -> Select[*Columns]:
    """One row more than a page, by time-ordered id; the extra row says that there is more."""
    if after is not None:
        statement = statement.where(key < after)
    return statement.order_by(key.desc()).limit(limit + 1)
