"""The audit trail: who did what to what, and when. Rows are added, never changed."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, func, true
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


class AuditEntry(Base):
    """An event's place in the chain, and the hash of it and of the entry before.

    Written by a trigger at the commit of what added the event. Triggers refuse all else.
    """

    __tablename__ = "audit_chain"

    position: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """1, 2, 3 … without a gap, in the order of commits."""
    event_id: Mapped[UUID] = mapped_column(unique=True)
    hash: Mapped[str]


class AuditHead(Base):
    """The last entry of the chain: what is cut off behind it is missed. One row."""

    __tablename__ = "audit_head"
    __table_args__ = (CheckConstraint("one", name="one"),)

    one: Mapped[bool] = mapped_column(primary_key=True, server_default=true())
    position: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[str]
