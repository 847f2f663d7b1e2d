"""Results: one wide row per (evaluation, comparison, feature), controls, dictionary health."""

from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from app.core.tables import Base, one_of

VERDICTS = ("stable", "drifted", "inconclusive", "insufficient", "untrusted", "invalid")
CHANGES = ("rate", "magnitude", "identity", "dead", "born")
DIAGNOSES = ("rescaled", "rotated", "relocated", "lost", "dictionary_stale", "unexplained")
COMPARISONS = ("baseline", "previous")
CONTROLS = ("no_op",)


class Verdict(Base):
    """What one comparison says of one feature, with everything that it rests on."""

    __tablename__ = "verdicts"
    __table_args__ = (
        CheckConstraint(one_of("comparison", COMPARISONS), name="comparison"),
        CheckConstraint(one_of("verdict", VERDICTS), name="verdict"),
        CheckConstraint(f"change IS NULL OR {one_of('change', CHANGES)}", name="change"),
        CheckConstraint(f"diagnosis IS NULL OR {one_of('diagnosis', DIAGNOSES)}", name="diagnosis"),
        Index("ix_verdicts_feature_id", "feature_id"),
        Index("ix_verdicts_feature", "feature"),
    )

    evaluation_id: Mapped[UUID] = mapped_column(
        ForeignKey("evaluations.id", ondelete="CASCADE"), primary_key=True
    )
    comparison: Mapped[str] = mapped_column(primary_key=True)
    feature: Mapped[str] = mapped_column(primary_key=True)
    """The feature's name in its set; `latent-<index>` for a whole dictionary."""
    feature_id: Mapped[UUID | None] = mapped_column(ForeignKey("features.id"))
    verdict: Mapped[str]
    change: Mapped[str | None]
    changes: Mapped[list[str]]
    diagnosis: Mapped[str | None]
    reason: Mapped[str]
    estimand: Mapped[str | None]
    """The leading estimand: the one that effect, interval and margin stand for."""
    effect: Mapped[float | None]
    lower: Mapped[float | None]
    upper: Mapped[float | None]
    margin: Mapped[float | None]
    margin_source: Mapped[str | None]
    p_drifted: Mapped[float | None]
    p_stable: Mapped[float | None]
    q_drifted: Mapped[float | None]
    q_stable: Mapped[float | None]
    sign_test_p: Mapped[float | None]
    active_documents: Mapped[int]
    documents: Mapped[int]
    tokens: Mapped[int]
    firing_ratio_baseline: Mapped[float | None]
    firing_ratio_candidate: Mapped[float | None]
    concept_auroc_baseline: Mapped[float | None]
    concept_auroc_candidate: Mapped[float | None]
    drift_score: Mapped[float | None]
    """Between noise floor (0) and randomised model (1); null until those controls have run."""
    estimates: Mapped[dict[str, Any]]
    """Estimand → effect, lower, upper, se, df, margin, margin_source, p_drifted, p_stable."""
    definition_digest: Mapped[str]
    baseline_snapshot_key: Mapped[str | None]
    candidate_snapshot_key: Mapped[str | None]


class Control(Base):
    """The outcome of one negative control of an evaluation, with its figures."""

    __tablename__ = "controls"
    __table_args__ = (CheckConstraint(one_of("control", CONTROLS), name="control"),)

    evaluation_id: Mapped[UUID] = mapped_column(
        ForeignKey("evaluations.id", ondelete="CASCADE"), primary_key=True
    )
    control: Mapped[str] = mapped_column(primary_key=True)
    passed: Mapped[bool]
    detail: Mapped[str]
    figures: Mapped[dict[str, Any]]


class DictionaryHealth(Base):
    """How well a dictionary reconstructs its site, for each side of an evaluation."""

    __tablename__ = "dictionary_health"

    evaluation_id: Mapped[UUID] = mapped_column(
        ForeignKey("evaluations.id", ondelete="CASCADE"), primary_key=True
    )
    role: Mapped[str] = mapped_column(primary_key=True)
    """`candidate`, `baseline` or `previous`."""
    dictionary: Mapped[str] = mapped_column(primary_key=True)
    fvu: Mapped[float | None]
    l0: Mapped[float | None]
    dead_ratio: Mapped[float | None]
    figures: Mapped[dict[str, Any]]
