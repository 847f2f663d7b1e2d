"""SQL of dictionaries."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.rows import insert_if_absent, newest_first
from app.registry.tables import Dictionary


def insert_dictionary(session: Session, **values: Any) -> Dictionary | None:
    """A new dictionary, or None when the name is taken."""
    return insert_if_absent(session, Dictionary, ["name"], **values)


def get_dictionary(session: Session, name: str) -> Dictionary | None:
    """A dictionary by name."""
    return session.scalars(select(Dictionary).where(Dictionary.name == name)).one_or_none()


def get_dictionaries(session: Session, names: Iterable[str]) -> dict[str, Dictionary]:
    """Those of the named dictionaries that exist."""
    rows = session.scalars(select(Dictionary).where(Dictionary.name.in_(sorted(set(names)))))
    return {row.name: row for row in rows}


def list_dictionaries(session: Session, after: UUID | None, limit: int) -> Sequence[Dictionary]:
    """Dictionaries, newest first, one more than `limit`."""
    return session.scalars(newest_first(select(Dictionary), Dictionary.id, after, limit)).all()
