"""Results: one wide row per (evaluation, comparison, feature), controls, dictionary health."""

from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.tables import Base, one_of

VERDICTS = ("stable", "drifted", "inconclusive", "insufficient", "untrusted", "invalid")
CHANGES = ("rate", "magnitude", "identity", "dead", "born")
DIAGNOSES = ("rescaled", "rotated", "relocated", "lost", "dictionary_stale", "unexplained")
COMPARISONS = ("baseline", "previous")
CONTROLS = (
    "no_op",
    "numerics",
    "randomised_model",
    "random_features",
    "permuted_labels",
    "shuffled_pairing",
)
KEEPS = ("yes", "no", "not_shown")
CAUSAL_VERDICTS = ("causal", "correlational", "not_shown", "not_applicable")


class Verdict(Base):
    """What one comparison says of one feature, with everything that it rests on."""

    __tablename__ = "verdicts"
    __table_args__ = (
        CheckConstraint(one_of("comparison", COMPARISONS), name="comparison"),
        CheckConstraint(one_of("verdict", VERDICTS), name="verdict"),
        CheckConstraint(f"change IS NULL OR {one_of('change', CHANGES)}", name="change"),
        CheckConstraint(f"diagnosis IS NULL OR {one_of('diagnosis', DIAGNOSES)}", name="diagnosis"),
        CheckConstraint(f"earns_keep IS NULL OR {one_of('earns_keep', KEEPS)}", name="earns_keep"),
        CheckConstraint(
            f"causal_verdict IS NULL OR {one_of('causal_verdict', CAUSAL_VERDICTS)}",
            name="causal_verdict",
        ),
        # A feature's history is read newest first without touching the rows beyond the page;
        # latents of a whole dictionary have no feature and are not in it.
        Index(
            "ix_verdicts_feature_history",
            "feature_id",
            "evaluation_id",
            "comparison",
            postgresql_where=text("feature_id IS NOT NULL"),
        ),
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
    """`policy`, or `noise_floor:<what measured it>`."""
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
    """Between noise floor (0) and randomised model (1); null where those controls did not run."""
    token_level: Mapped[bool | None]
    """Survives with only the embeddings left: it reads tokens, not the model's computation."""
    earns_keep: Mapped[str | None]
    """Whether it beats the simple baselines on its concept."""
    paged: Mapped[bool] = mapped_column(server_default=text("false"))
    """Outside its margin by simultaneous intervals at the evaluation's share of the budget."""
    slow_drift: Mapped[bool] = mapped_column(server_default=text("false"))
    causal_verdict: Mapped[str | None]
    estimates: Mapped[dict[str, Any]]
    """Estimand → effect, lower, upper, se, df, margin, margin_source, p_drifted, p_stable."""
    controls: Mapped[dict[str, Any] | None]
    """Control → passed, detail, figures, for this feature."""
    baselines: Mapped[dict[str, Any] | None]
    """Simple read-outs of the concept at the same site beside the feature."""
    causal: Mapped[dict[str, Any] | None]
    robustness: Mapped[dict[str, Any] | None]
    """Agreement across the variants of a document, on each side."""
    trend: Mapped[dict[str, Any] | None]
    """The moving average over checkpoints that `slow_drift` was decided on."""
    pages: Mapped[dict[str, Any] | None]
    """The simultaneous intervals that `paged` was decided on, with their level."""
    diagnosis_evidence: Mapped[dict[str, Any] | None]
    definition_digest: Mapped[str]
    baseline_snapshot_key: Mapped[str | None]
    candidate_snapshot_key: Mapped[str | None]


DOES_NOT_APPLY = {"applies": False}
"""Among the figures of a control that had nothing to judge, and is null for that reason."""


class Control(Base):
    """The outcome of one negative control of an evaluation, with its figures."""

    __tablename__ = "controls"
    __table_args__ = (CheckConstraint(one_of("control", CONTROLS), name="control"),)

    evaluation_id: Mapped[UUID] = mapped_column(
        ForeignKey("evaluations.id", ondelete="CASCADE"), primary_key=True
    )
    control: Mapped[str] = mapped_column(primary_key=True)
    passed: Mapped[bool | None]
    """Null: not applicable, or it cannot be told; the detail says which."""
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
