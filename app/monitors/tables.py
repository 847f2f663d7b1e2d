"""Monitors: what is watched, against which baseline, by which policy."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, func
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


class PageBudgetEntry(Base):
    """What one evaluation may spend of its monitor's false-page budget of a quarter.

    Entries are only ever added: what is spent stays spent, also when its evaluation is gone.
    """

    __tablename__ = "page_budget"

    monitor_id: Mapped[UUID] = mapped_column(
        ForeignKey("monitors.id", ondelete="CASCADE"), primary_key=True
    )
    quarter: Mapped[date] = mapped_column(primary_key=True)
    """The first day of the calendar quarter, UTC."""
    ordinal: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """1 for the first evaluation of the quarter."""
    evaluation_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("evaluations.id", ondelete="SET NULL"), unique=True
    )
    planned: Mapped[bool]
    alpha: Mapped[float]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
