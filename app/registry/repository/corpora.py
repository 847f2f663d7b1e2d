"""SQL of probe corpora."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.rows import insert_if_absent, newest_first
from app.registry.tables import Corpus


def insert_corpus(session: Session, **values: Any) -> Corpus | None:
    """A new corpus, or None when the name is taken."""
    return insert_if_absent(session, Corpus, ["name"], **values)


def get_corpus(session: Session, name: str) -> Corpus | None:
    """A corpus by name."""
    return session.scalars(select(Corpus).where(Corpus.name == name)).one_or_none()


def list_corpora(
    session: Session, digest: str | None, after: UUID | None, limit: int
) -> Sequence[Corpus]:
    """Corpora, newest first, one more than `limit`."""
    statement = select(Corpus)
    if digest is not None:
        statement = statement.where(Corpus.digest == digest)
    return session.scalars(newest_first(statement, Corpus.id, after, limit)).all()
