"""Writing and reading the audit trail."""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.access.audit_tables import AuditEvent
from app.core.rows import newest_first

_ACTION = re.compile(r"[a-z_]+\.[a-z_]+")


def record(
    session: Session,
    *,
    actor: str,
    action: str,
    subject_id: UUID | str,
    detail: Mapping[str, Any] | None = None,
) -> AuditEvent:
    """Add an event in the transaction of what it tells of, so that both happen or neither.

    Args:
        actor: who did it: the name that the caller gave.
        action: `<subject kind>.<past participle>`, such as `repair.accepted`,
            `checkpoint.marked_benign`, `monitor.policy_changed`.
        subject_id: the subject's id, or its name where it has no other.
        detail: what a reader needs to judge the decision; JSON.

    Raises:
        ValueError: the action is not of that form.
    """
    if not _ACTION.fullmatch(action):
        raise ValueError(f"{action!r} is no action; write <subject kind>.<past participle>")
    event = AuditEvent(
        actor=actor,
        action=action,
        subject_kind=action.partition(".")[0],
        subject_id=str(subject_id),
        detail=dict(detail or {}),
    )
    session.add(event)
    session.flush()
    return event


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
