"""Repairs: proposed next versions of a feature set, with their evidence."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.core.tables import Base, Identified, one_of
from app.verdicts.tables import COMPARISONS

REPAIR_STATES = ("proposed", "accepted", "rejected")


class Repair(Identified, Base):
    """What one comparison of one evaluation proposes to watch from now on.

    It changes nothing by itself. A proposal that is made anew is a new row with a new id, so that
    nobody accepts by id what they have not read.
    """

    __tablename__ = "repairs"
    __table_args__ = (
        UniqueConstraint("evaluation_id", "comparison"),
        CheckConstraint(one_of("comparison", COMPARISONS), name="comparison"),
        CheckConstraint(one_of("state", REPAIR_STATES), name="state"),
        CheckConstraint(
            "(state = 'proposed') = (decided_at IS NULL) "
            "AND (decided_at IS NULL) = (decided_by IS NULL)",
            name="decided",
        ),
        CheckConstraint(
            "(feature_set_version_id IS NOT NULL) = "
            "(state = 'accepted' AND base_feature_set_version_id IS NOT NULL)",
            name="version_of_accepted",
        ),
    )

    evaluation_id: Mapped[UUID] = mapped_column(ForeignKey("evaluations.id", ondelete="CASCADE"))
    monitor_id: Mapped[UUID] = mapped_column(
        ForeignKey("monitors.id", ondelete="CASCADE"), index=True
    )
    comparison: Mapped[str]
    state: Mapped[str] = mapped_column(default="proposed")
    base_feature_set_version_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("feature_set_versions.id")
    )
    """The version that was evaluated; null where the monitor watches a whole dictionary."""
    features: Mapped[list[dict[str, Any]]] = mapped_column(deferred=True)
    """The whole proposed list, changed and unchanged definitions alike; it may hold megabytes."""
    changes: Mapped[list[dict[str, Any]]]
    """Per changed feature: feature, old, new, diagnosis, reason, evidence."""
    dictionaries: Mapped[list[dict[str, Any]]]
    """Realigned dictionaries in the artifact store that the proposed features refer to."""
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[str | None]
    decided_principal: Mapped[str | None]
    """Who was authenticated, beside whom the caller names."""
    note: Mapped[str | None]
    feature_set_version_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("feature_set_versions.id")
    )
    """The version that acceptance published."""
