"""Monitors: what is watched, against which baseline, by which policy."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from app.core.tables import Base, Identified


class Monitor(Identified, Base):
    """Model + corpus + feature set (or whole dictionary) + baseline rule + drift policy."""

    __tablename__ = "monitors"
    __table_args__ = (
        CheckConstraint(
            "(feature_set_version_id IS NULL) <> (dictionary_id IS NULL)", name="one_target"
        ),
    )

    name: Mapped[str] = mapped_column(unique=True)
    description: Mapped[str | None]
    model_id: Mapped[UUID] = mapped_column(ForeignKey("models.id", ondelete="CASCADE"), index=True)
    corpus_id: Mapped[UUID] = mapped_column(ForeignKey("corpora.id"))
    feature_set_version_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("feature_set_versions.id")
    )
    dictionary_id: Mapped[UUID | None] = mapped_column(ForeignKey("dictionaries.id"))
    baseline: Mapped[dict[str, Any]]
    """{"alias": name} or {"checkpoint": name}: the pinned side of the cumulative comparison."""
    policy: Mapped[dict[str, Any]]
    watchlist: Mapped[list[str]]
    """Names of features with series of their own in /metrics, at most 200."""
    enabled: Mapped[bool] = mapped_column(default=True)
    version: Mapped[int] = mapped_column(default=1)
    updated_at: Mapped[datetime]
