"""SQL of idempotency keys."""

from datetime import timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from app.access.tables import IdempotencyKey

_SWEPT_AT_ONCE = 100


def lock_key(session: Session, key: str, route: str) -> None:
    """Let one transaction at a time work on a key; the lock ends with the transaction."""
    digest = sha256(f"{route}\n{key}".encode()).digest()
    number = int.from_bytes(digest[:8], "big", signed=True)
    session.execute(select(func.pg_advisory_xact_lock(number)))


def get_answer(session: Session, key: str, route: str) -> IdempotencyKey | None:
    """What the first request with this key was answered."""
    return session.get(IdempotencyKey, (key, route))


def add_answer(session: Session, **values: Any) -> None:
    """Keep an answer."""
    session.add(IdempotencyKey(**values))


def forget_old(session: Session, age: timedelta) -> None:
    """Remove some keys past their age: few at a time, none that another transaction is removing."""
    old = (
        select(IdempotencyKey.key, IdempotencyKey.route)
        .where(IdempotencyKey.created_at < func.now() - age)
        .limit(_SWEPT_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    rows = session.execute(old).all()
    for key, route in rows:
        session.execute(
            delete(IdempotencyKey).where(IdempotencyKey.key == key, IdempotencyKey.route == route)
        )
