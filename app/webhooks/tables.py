"""Webhooks, and what was or is to be delivered to them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.tables import Base, Identified, one_of

DELIVERY_STATES = ("pending", "delivered", "failed")


class Webhook(Identified, Base):
    """An address, what is sent there, and the secret that signs it."""

    __tablename__ = "webhooks"
    __table_args__ = (
        CheckConstraint(
            "(previous_secret IS NULL) = (previous_secret_expires_at IS NULL)",
            name="previous_secret",
        ),
        CheckConstraint("disabled_reason IS NULL OR NOT enabled", name="disabled_reason"),
    )

    url: Mapped[str]
    description: Mapped[str | None]
    events: Mapped[list[str]]
    """Types of events; empty: all. Likewise the names of models and monitors."""
    models: Mapped[list[str]]
    monitors: Mapped[list[str]]
    enabled: Mapped[bool] = mapped_column(default=True)
    disabled_reason: Mapped[str | None]
    """Why the service itself has disabled it; null when a person did."""
    secret: Mapped[str]
    """`whsec_…`, as it is: signing needs it. Never shown again, never logged."""
    previous_secret: Mapped[str | None]
    """Signs as well until it expires."""
    previous_secret_expires_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(default=1)
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Delivery(Identified, Base):
    """One event for one webhook; every write after the claim is fenced by `attempts`.

    It is claimable while `pending`, due, and under no lease or an expired one.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        CheckConstraint(one_of("state", DELIVERY_STATES), name="state"),
        CheckConstraint("(state = 'pending') = (finished_at IS NULL)", name="finished"),
        # The log of one webhook, newest first.
        Index("ix_deliveries_webhook_id_id", "webhook_id", "id"),
        Index(
            "ix_deliveries_due",
            "webhook_id",
            "next_attempt_at",
            postgresql_where=text("state = 'pending'"),
        ),
        Index("ix_deliveries_failed", "id", postgresql_where=text("state = 'failed'")),
        Index("ix_deliveries_finished_at", "finished_at"),
    )

    webhook_id: Mapped[UUID] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"))
    message_id: Mapped[str]
    """The header `webhook-id`: the same at each attempt, and for all webhooks of one event."""
    event: Mapped[str]
    model: Mapped[str | None]
    monitor: Mapped[str | None]
    body: Mapped[str]
    """JSON, sent and signed as it is here."""
    state: Mapped[str] = mapped_column(default="pending")
    attempts: Mapped[int] = mapped_column(default=0)
    failures: Mapped[int] = mapped_column(default=0)
    """Failed attempts since `started_at`: how far along the retry schedule it is."""
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    """When the event happened, or when its redelivery was asked for."""
    next_attempt_at: Mapped[datetime] = mapped_column(server_default=func.now())
    lease_expires_at: Mapped[datetime | None]
    last_attempt_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    response_status: Mapped[int | None]
    error: Mapped[str | None]
    log: Mapped[list[dict[str, Any]]]
    """The last attempts, oldest first: when, how long, status, start of the answer, error."""
