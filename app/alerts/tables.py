"""Alerts: one row for as long as something is wrong with one subject of a monitor."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.tables import Base, Identified, one_of

SUBJECT_KINDS = ("feature", "control", "dictionary", "evaluation")
CONDITIONS = ("drifted", "slow_drift", "untrusted", "failed", "stale")
SEVERITIES = ("page", "warning")
ALERT_STATES = ("open", "acknowledged", "resolved")


class Alert(Identified, Base):
    """What is wrong with one feature, control or dictionary, or with a monitor's evaluations.

    Of one subject at most one alert is unresolved, however many checkpoints say the same.
    """

    __tablename__ = "alerts"
    __table_args__ = (
        CheckConstraint(one_of("subject_kind", SUBJECT_KINDS), name="subject_kind"),
        CheckConstraint(one_of("condition", CONDITIONS), name="condition"),
        CheckConstraint(one_of("severity", SEVERITIES), name="severity"),
        CheckConstraint(one_of("state", ALERT_STATES), name="state"),
        CheckConstraint("(subject = '') = (subject_kind = 'evaluation')", name="subject"),
        CheckConstraint("(state = 'resolved') = (resolved_at IS NOT NULL)", name="resolved"),
        CheckConstraint(
            "(acknowledged_at IS NULL) = (acknowledged_by IS NULL) "
            "AND (state <> 'open' OR acknowledged_at IS NULL) "
            "AND (state <> 'acknowledged' OR acknowledged_at IS NOT NULL)",
            name="acknowledged",
        ),
        CheckConstraint("occurrences >= 1", name="occurrences"),
        Index(
            "uq_alerts_unresolved",
            "monitor_id",
            "subject_kind",
            "subject",
            unique=True,
            postgresql_where=text("state <> 'resolved'"),
        ),
        Index("ix_alerts_monitor_id", "monitor_id"),
    )

    monitor_id: Mapped[UUID] = mapped_column(ForeignKey("monitors.id", ondelete="CASCADE"))
    subject_kind: Mapped[str]
    subject: Mapped[str]
    """A feature's, control's or dictionary's name; empty for the monitor's evaluations."""
    condition: Mapped[str]
    severity: Mapped[str]
    """The worst since it was opened, or since it was last shown to be stable."""
    state: Mapped[str] = mapped_column(default="open")
    opened_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    resolved_at: Mapped[datetime | None]
    acknowledged_at: Mapped[datetime | None]
    acknowledged_by: Mapped[str | None]
    acknowledged_principal: Mapped[str | None]
    """Who was authenticated, beside whom the caller names."""
    note: Mapped[str | None]
    occurrences: Mapped[int] = mapped_column(default=1, server_default=text("1"))
    """Evaluations that found it so."""
    first_evaluation_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("evaluations.id", ondelete="SET NULL")
    )
    last_evaluation_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("evaluations.id", ondelete="SET NULL")
    )
    """The newest evaluation that said anything of the subject, `inconclusive` included."""
    detail: Mapped[str]
    """One sentence for the person who is woken."""
    evidence: Mapped[dict[str, Any]]
    """What the newest evaluation measured: effect, interval, margin, diagnosis, checkpoints."""
