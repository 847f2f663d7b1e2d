"""The audit trail: who did what to what, and when. Rows are added, never changed."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, func
from sqlalchemy.orm import Mapped, mapped_column

from app.core.ids import new_id
from app.core.tables import Base


class AuditEvent(Base):
    """One decision of a person or a program.

    A trigger refuses UPDATE, DELETE and TRUNCATE. Nothing refers to other tables by foreign key: an
    event outlives what it is about.
    """

    __tablename__ = "audit_events"
    __table_args__ = (Index("ix_audit_events_subject", "subject_kind", "subject_id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    actor: Mapped[str] = mapped_column(index=True)
    action: Mapped[str]
    """What was done, `<subject kind>.<past participle>`: `repair.accepted`."""
    subject_kind: Mapped[str]
    subject_id: Mapped[str]
    """The subject's id, or its name where it has no other."""
    detail: Mapped[dict[str, Any]]
    principal: Mapped[str | None]
    """Who was authenticated, whatever name `actor` gives; null for the service itself."""
    key_id: Mapped[UUID | None]
    model: Mapped[str | None] = mapped_column(index=True)
    """The model's name, where it is about one: who is bound to that may read it."""
