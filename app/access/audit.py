"""Writing and reading the audit trail."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Table, insert, select
from sqlalchemy.orm import Session

from app.access.audit_tables import AuditEvent
from app.access.principals import principal_of
from app.core.rows import newest_first

SERVICE = "featuredrift"
"""The actor of what the service does by itself."""
_INSERT = insert(cast(Table, AuditEvent.__table__))
_ACTION = re.compile(r"[a-z_]+\.[a-z_]+")


def record(
    session: Session,
    *,
    actor: str | None = None,
    action: str,
    subject_id: UUID | str,
    detail: Mapping[str, Any] | None = None,
    model: str | None = None,
) -> None:
    """Add an event in the transaction of what it tells of, so that both happen or neither.

    Who was authenticated is noted beside the actor, who is whoever the caller says.

    Args:
        actor: who did it: the name that the caller gave; None where it gives none: then who was
            authenticated, else the service itself.
        action: `<subject kind>.<past participle>`, such as `repair.accepted`,
            `checkpoint.marked_benign`, `monitor.policy_changed`.
        subject_id: the subject's id, or its name where it has no other.
        detail: what a reader needs to judge the decision; JSON.
        model: the name of the one model that it is about, if it is about one.

    Raises:
        ValueError: the action is not of that form.
    """
    if not _ACTION.fullmatch(action):
        raise ValueError(f"{action!r} is no action; write <subject kind>.<past participle>")
    principal = principal_of(session)
    if actor is None:
        actor = principal.name if principal is not None else SERVICE
    # Each call that writes comes by here: the table's own insert costs half of what a mapped
    # object does.
    session.connection().execute(
        _INSERT,
        {
            "actor": actor,
            "action": action,
            "subject_kind": action.partition(".")[0],
            "subject_id": str(subject_id),
            "detail": dict(detail or {}),
            "principal": principal.name if principal is not None else None,
            "key_id": principal.key_id if principal is not None else None,
            "model": model,
        },
    )


def list_events(
    session: Session,
    *,
    actor: str | None = None,
    action: str | None = None,
    subject_kind: str | None = None,
    subject_id: str | None = None,
    after: UUID | None = None,
    limit: int,
) -> Sequence[AuditEvent]:
    """Events, newest first, one more than `limit`."""
    statement = select(AuditEvent)
    for column, wanted in (
        (AuditEvent.actor, actor),
        (AuditEvent.action, action),
        (AuditEvent.subject_kind, subject_kind),
        (AuditEvent.subject_id, subject_id),
    ):
        if wanted is not None:
            statement = statement.where(column == wanted)
    return session.scalars(newest_first(statement, AuditEvent.id, after, limit)).all()
