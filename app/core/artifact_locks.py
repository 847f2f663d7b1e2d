"""Locks on artifact keys, for those who come to refer to a file while a collector removes files.

Whoever writes a row that refers to an artifact takes the shared lock first, then makes sure that
the artifact is there. The collector takes the exclusive lock, sees that no row refers to it, and
deletes it under the lock. Both end with their transaction.
"""

from collections.abc import Iterable

from sqlalchemy import func, select
from sqlalchemy.orm import Session


def hold(session: Session, keys: Iterable[str]) -> None:
    """Keep these keys' artifacts from being collected until the transaction has ended."""
    for key in sorted(set(keys)):
        session.execute(select(func.pg_advisory_xact_lock_shared(_number(key))))


def claim_alone(session: Session, key: str) -> None:
    """Wait until nobody holds the key, and keep others from holding it likewise."""
    session.execute(select(func.pg_advisory_xact_lock(_number(key))))


def _number(key: str) -> object:
    return func.hashtextextended(f"artifact:{key}", 0)
