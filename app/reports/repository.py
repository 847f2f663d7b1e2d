"""SQL of reports: what an evaluation refers to, and what its monitor had found before it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session, aliased, load_only

from app.evaluations.tables import Evaluation, EvaluationSnapshot, Snapshot
from app.registry.tables import Checkpoint, Corpus, Dictionary, Feature, FeatureSetVersion
from app.repairs.tables import Repair
from app.verdicts.tables import Verdict

_OF_HISTORY = (
    *(Verdict.verdict, Verdict.change, Verdict.estimand, Verdict.effect, Verdict.lower),
    *(Verdict.upper, Verdict.margin, Verdict.paged, Verdict.slow_drift, Verdict.drift_score),
    Verdict.definition_digest,
)
"""A verdict's evidence may be kilobytes; a history needs none of it."""


@dataclass(frozen=True)
class Past:
    """An earlier verdict on a feature's name."""

    verdict: Verdict
    evaluation: Evaluation
    checkpoint: str
    baseline: str


def verdict_rows(session: Session, evaluation_id: UUID) -> Sequence[Verdict]:
    """All stored verdicts of an evaluation, by name."""
    return session.scalars(
        select(Verdict)
        .where(Verdict.evaluation_id == evaluation_id)
        .order_by(Verdict.comparison, Verdict.feature)
    ).all()


def feature_rows(session: Session, version_id: UUID) -> Sequence[Feature]:
    """The features of a set's version, in its order."""
    return session.scalars(
        select(Feature)
        .where(Feature.feature_set_version_id == version_id)
        .order_by(Feature.position)
    ).all()


def version_of(session: Session, version_id: UUID) -> FeatureSetVersion:
    """A version of a feature set."""
    return session.get_one(FeatureSetVersion, version_id)


def corpus_of(session: Session, corpus_id: UUID) -> Corpus:
    """A corpus."""
    return session.get_one(Corpus, corpus_id)


def dictionaries(session: Session, ids: Sequence[UUID]) -> Sequence[Dictionary]:
    """Some dictionaries, by name."""
    return session.scalars(
        select(Dictionary).where(Dictionary.id.in_(ids)).order_by(Dictionary.name)
    ).all()


def snapshots(session: Session, evaluation_id: UUID) -> dict[str, tuple[str, dict[str, Any]]]:
    """Role → key and inputs of the snapshots that an evaluation was made from."""
    rows = session.execute(
        select(EvaluationSnapshot.role, Snapshot.key, Snapshot.inputs)
        .join(Snapshot, Snapshot.id == EvaluationSnapshot.snapshot_id)
        .where(EvaluationSnapshot.evaluation_id == evaluation_id)
        .order_by(EvaluationSnapshot.role)
    )
    return {row.role: (row.key, row.inputs) for row in rows}


def repair_of(session: Session, evaluation_id: UUID) -> Repair | None:
    """What the comparison with the pinned baseline proposed."""
    return session.scalars(
        select(Repair).where(Repair.evaluation_id == evaluation_id, Repair.comparison == "baseline")
    ).one_or_none()


def history(
    session: Session, evaluation: Evaluation, features: Sequence[str], limit: int
) -> Sequence[Past]:
    """Verdicts of a monitor's last evaluations up to one, newest first, that one included.

    Only what had ended when that one did: later evaluations never change what is read here.
    """
    ended = func.coalesce(Evaluation.finished_at, Evaluation.created_at)
    then = evaluation.finished_at or evaluation.created_at
    earlier = (
        select(Evaluation.id)
        .where(
            Evaluation.monitor_id == evaluation.monitor_id,
            Evaluation.state == "succeeded",
            or_(ended < then, and_(ended == then, Evaluation.id <= evaluation.id)),
        )
        .order_by(ended.desc(), Evaluation.id.desc())
        .limit(limit)
        .subquery()
    )
    baseline = aliased(Checkpoint)
    rows = session.execute(
        select(Verdict, Evaluation, Checkpoint.name, baseline.name)
        .join(earlier, Verdict.evaluation_id == earlier.c.id)
        .join(Evaluation, Verdict.evaluation_id == Evaluation.id)
        .join(Checkpoint, Evaluation.checkpoint_id == Checkpoint.id)
        .join(baseline, Evaluation.baseline_checkpoint_id == baseline.id)
        .where(Verdict.comparison == "baseline", Verdict.feature.in_(features))
        .order_by(ended.desc(), Evaluation.id.desc(), Verdict.feature)
        .options(load_only(*_OF_HISTORY))
    )
    return [Past(*row) for row in rows]
