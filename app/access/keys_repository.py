"""SQL of API keys."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.orm import Session

from app.access.keys_tables import ApiKey
from app.core.ids import new_id
from app.core.rows import newest_first

USE_NOTED_EVERY = timedelta(minutes=1)


def add_key(session: Session, **values: Any) -> ApiKey:
    """A new key."""
    row = ApiKey(id=new_id(), **values)
    session.add(row)
    session.flush()
    session.refresh(row)
    return row


def find_by_digest(session: Session, digest: str, moment: datetime) -> ApiKey | None:
    """The key that has this digest, or had it before a rotation whose overlap lasts."""
    return session.scalars(
        select(ApiKey).where(
            or_(
                ApiKey.digest == digest,
                and_(ApiKey.previous_digest == digest, ApiKey.previous_expires_at > moment),
            )
        )
    ).one_or_none()


def get_key(session: Session, key_id: UUID, *, lock: bool = False) -> ApiKey | None:
    """A key by id."""
    statement = select(ApiKey).where(ApiKey.id == key_id)
    if lock:
        statement = statement.with_for_update()
    return session.scalars(statement.execution_options(populate_existing=lock)).one_or_none()


def get_working_by_name(session: Session, name: str) -> ApiKey | None:
    """The key of this name that is not revoked."""
    return session.scalars(
        select(ApiKey).where(ApiKey.name == name, ApiKey.revoked_at.is_(None))
    ).one_or_none()


def list_keys(
    session: Session, *, revoked: bool | None, after: UUID | None, limit: int
) -> Sequence[ApiKey]:
    """Keys, newest first, one more than `limit`."""
    statement = select(ApiKey)
    if revoked is not None:
        is_revoked = ApiKey.revoked_at.is_not(None)
        statement = statement.where(is_revoked if revoked else ~is_revoked)
    return session.scalars(newest_first(statement, ApiKey.id, after, limit)).all()


def any_usable(session: Session) -> bool:
    """Whether there is a key that is neither revoked nor expired."""
    usable = select(ApiKey.id).where(
        ApiKey.revoked_at.is_(None),
        or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > func.now()),
    )
    return bool(session.scalar(select(usable.exists())))


def note_use(session: Session, row: ApiKey, moment: datetime) -> None:
    """Say that a key was used, unless that was said within the last minute."""
    before = moment - USE_NOTED_EVERY
    if row.last_used_at is not None and row.last_used_at > before:
        return
    session.execute(
        update(ApiKey)
        .where(
            ApiKey.id == row.id, or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at <= before)
        )
        .values(last_used_at=moment)
        .execution_options(synchronize_session=False)
    )
