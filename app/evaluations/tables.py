"""The job ledger: evaluations, snapshots, shards, and the outbox."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.core.tables import Base, Identified, one_of

EVALUATION_STATES = ("queued", "running", "succeeded", "failed", "cancelled")
EVALUATION_STEPS = ("plan", "capture", "compare", "done")
SHARD_KINDS = ("plan", "capture", "compare")
SHARD_STATES = ("queued", "running", "succeeded", "failed", "cancelled")
SNAPSHOT_STATES = ("pending", "complete", "failed", "collected")
SNAPSHOT_ROLES = (
    "candidate",
    "baseline",
    "previous",
    "no_op",
    "random_top",
    "random_blocks",
    "random_all",
    "numerics_dtype",
    "numerics_batch",
    "numerics_attention",
    "causal_candidate",
    "causal_baseline",
)
BENIGN_ROLES = "role ~ '^benign:[1-8]$'"
"""One role per checkpoint that the user has marked benign, newest first."""


class Evaluation(Identified, Base):
    """The long-running job (one monitor, one checkpoint) that makes verdicts."""

    __tablename__ = "evaluations"
    __table_args__ = (
        CheckConstraint(one_of("state", EVALUATION_STATES), name="state"),
        CheckConstraint(one_of("step", EVALUATION_STEPS), name="step"),
        # One monitor asks one question of one checkpoint once: the same inputs give the same row.
        UniqueConstraint("monitor_id", "checkpoint_id", "inputs_digest"),
        Index("ix_evaluations_monitor_created", "monitor_id", "created_at"),
        Index(
            "ix_evaluations_open", "state", postgresql_where=text("state IN ('queued','running')")
        ),
    )

    monitor_id: Mapped[UUID] = mapped_column(ForeignKey("monitors.id", ondelete="CASCADE"))
    checkpoint_id: Mapped[UUID] = mapped_column(
        ForeignKey("checkpoints.id", ondelete="CASCADE"), index=True
    )
    baseline_checkpoint_id: Mapped[UUID] = mapped_column(ForeignKey("checkpoints.id"))
    previous_checkpoint_id: Mapped[UUID | None] = mapped_column(ForeignKey("checkpoints.id"))
    corpus_id: Mapped[UUID] = mapped_column(ForeignKey("corpora.id"))
    feature_set_version_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("feature_set_versions.id")
    )
    dictionary_id: Mapped[UUID | None] = mapped_column(ForeignKey("dictionaries.id"))
    policy: Mapped[dict[str, Any]]
    """The monitor's policy as it was when the evaluation was accepted."""
    inputs_digest: Mapped[str]
    state: Mapped[str] = mapped_column(default="queued")
    step: Mapped[str] = mapped_column(default="plan")
    error: Mapped[dict[str, Any] | None]
    """{"code", "detail"}: why it failed, for a person."""
    summary: Mapped[dict[str, Any] | None]
    """Per comparison: counts of verdicts, drifted ratio with interval, notes; digests."""
    request_id: Mapped[str | None]
    """The request that caused it, or its last retry."""
    traceparent: Mapped[str | None]
    """That request's span, by W3C Trace Context."""
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class Snapshot(Identified, Base):
    """The feature activations of one checkpoint on one corpus: computed once, found by key."""

    __tablename__ = "snapshots"
    __table_args__ = (
        CheckConstraint(one_of("state", SNAPSHOT_STATES), name="state"),
        CheckConstraint("collected_at IS NULL OR state = 'collected'", name="collected"),
    )

    key: Mapped[str] = mapped_column(unique=True)
    checkpoint_id: Mapped[UUID] = mapped_column(
        ForeignKey("checkpoints.id", ondelete="CASCADE"), index=True
    )
    inputs: Mapped[dict[str, Any]]
    """All that determines the content; `key` is its digest."""
    plan: Mapped[dict[str, Any]]
    """Where the tokens lie and how batches were cut: what a capture shard needs to start."""
    state: Mapped[str] = mapped_column(default="pending")
    error: Mapped[dict[str, Any] | None]
    manifest: Mapped[dict[str, Any] | None]
    completed_at: Mapped[datetime | None]
    bytes: Mapped[int | None] = mapped_column(BigInteger)
    """What its files weigh; null until it is complete."""
    marked_at: Mapped[datetime | None]
    """When the collector found that nobody keeps it; whoever needs it again takes the mark off."""
    collected_at: Mapped[datetime | None]
    """When the last of its files was gone; it is `collected` from before the first one goes."""


class EvaluationSnapshot(Base):
    """Which snapshots an evaluation needs, and as what."""

    __tablename__ = "evaluation_snapshots"
    __table_args__ = (
        CheckConstraint(f"{one_of('role', SNAPSHOT_ROLES)} OR {BENIGN_ROLES}", name="role"),
    )

    evaluation_id: Mapped[UUID] = mapped_column(
        ForeignKey("evaluations.id", ondelete="CASCADE"), primary_key=True
    )
    role: Mapped[str] = mapped_column(primary_key=True)
    snapshot_id: Mapped[UUID] = mapped_column(ForeignKey("snapshots.id"), index=True)


class Shard(Identified, Base):
    """One claimable piece of work, minutes long.

    A `plan` or `compare` shard belongs to an evaluation, a `capture` shard to a snapshot (which
    several evaluations may wait for). Every write after the claim is fenced by `attempt`.
    """

    __tablename__ = "shards"
    __table_args__ = (
        CheckConstraint(one_of("kind", SHARD_KINDS), name="kind"),
        CheckConstraint(one_of("state", SHARD_STATES), name="state"),
        CheckConstraint("(evaluation_id IS NULL) <> (snapshot_id IS NULL)", name="one_owner"),
        UniqueConstraint("evaluation_id", "kind"),
        UniqueConstraint("snapshot_id", "position"),
        Index("ix_shards_open", "state", postgresql_where=text("state IN ('queued','running')")),
    )

    kind: Mapped[str]
    evaluation_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("evaluations.id", ondelete="CASCADE")
    )
    snapshot_id: Mapped[UUID | None] = mapped_column(ForeignKey("snapshots.id", ondelete="CASCADE"))
    position: Mapped[int] = mapped_column(default=0)
    first_batch: Mapped[int | None]
    stop_batch: Mapped[int | None]
    state: Mapped[str] = mapped_column(default="queued")
    attempt: Mapped[int] = mapped_column(default=0)
    queued_at: Mapped[datetime] = mapped_column(server_default=func.now())
    announced_at: Mapped[datetime] = mapped_column(server_default=func.now())
    """When the last message for it was put into the outbox."""
    lease_expires_at: Mapped[datetime | None]
    worker: Mapped[str | None]
    error: Mapped[dict[str, Any] | None]
    request_id: Mapped[str | None]
    """The request that caused it; of a capture shard that several wait for, the first one's."""
    traceparent: Mapped[str | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class OutboxMessage(Base):
    """A message to the broker, written in the transaction of the state that it belongs to."""

    __tablename__ = "outbox"
    __table_args__ = (
        Index("ix_outbox_unpublished", "id", postgresql_where=text("published_at IS NULL")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    available_at: Mapped[datetime] = mapped_column(server_default=func.now())
    """Not published before this moment: a failed attempt waits before it is tried again."""
    shard_id: Mapped[UUID] = mapped_column(ForeignKey("shards.id", ondelete="CASCADE"), index=True)
    published_at: Mapped[datetime | None]
    request_id: Mapped[str | None]
    traceparent: Mapped[str | None]
