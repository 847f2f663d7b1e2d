"""Sessions of the web pages: that one began, that one was ended, whether one has ended."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app.access import audit
from app.access.principals import Principal
from app.access.sessions_tables import EndedSession
from app.core.clock import now
from app.core.ids import new_id
from app.core.rows import insert_if_absent

_SWEPT_AT_ONCE = 100


def begin(session: Session, principal: Principal) -> UUID:
    """A new session's id; that somebody signed in stands in the audit trail.

    Args:
        session: on behalf of the principal.
    """
    identity = new_id()
    _record(session, principal, "begun", identity)
    return identity


def end(session: Session, principal: Principal, identity: UUID, until: datetime) -> None:
    """Let a session be good no longer, wherever its cookie is; ended again, nothing is recorded.

    Args:
        session: on behalf of the principal.
        until: when its cookies will have expired in any case.
    """
    if insert_if_absent(session, EndedSession, ["id"], id=identity, until=until) is None:
        return
    _record(session, principal, "ended", identity)
    old = (
        select(EndedSession.id)
        .where(EndedSession.until < now())
        .limit(_SWEPT_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    session.execute(
        delete(EndedSession)
        .where(EndedSession.id.in_(old))
        .execution_options(synchronize_session=False)
    )


def has_ended(session: Session, identity: UUID) -> bool:
    """Whether somebody has signed out of a session."""
    return session.get(EndedSession, identity) is not None


def _record(session: Session, principal: Principal, done: str, identity: UUID) -> None:
    models = principal.models
    audit.record(
        session,
        action=f"session.{done}",
        subject_id=identity,
        model=next(iter(models)) if models is not None and len(models) == 1 else None,
    )
