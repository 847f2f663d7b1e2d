"""SQL of histories: a monitor's evaluations, and a feature's verdicts over checkpoints."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, Select, Subquery, and_, or_, select
from sqlalchemy.orm import Session, aliased

from app.core.rows import newest_first
from app.evaluations.tables import Evaluation
from app.monitors.tables import Monitor
from app.registry.tables import Checkpoint, Feature, FeatureSetVersion
from app.verdicts.tables import Verdict


class HistoryPosition(NamedTuple):
    """Where a page of a feature's history ends."""

    evaluation: UUID
    comparison: str


@dataclass(frozen=True)
class EvaluationLine:
    """An evaluation in a monitor's history."""

    evaluation: Evaluation
    checkpoint: str
    baseline: str
    previous: str | None
    feature_set_version: int | None


@dataclass(frozen=True)
class FeatureLine:
    """A verdict in a feature's history."""

    verdict: Verdict
    monitor: str
    checkpoint: str
    feature_set_version: int
    created_at: datetime


def monitor_history(
    session: Session, monitor_id: UUID, after: UUID | None, limit: int
) -> Sequence[EvaluationLine]:
    """Evaluations of a monitor, newest first, one more than `limit`."""
    baseline, previous = aliased(Checkpoint), aliased(Checkpoint)
    statement = (
        select(Evaluation, Checkpoint.name, baseline.name, previous.name, FeatureSetVersion.number)
        .join(Checkpoint, Evaluation.checkpoint_id == Checkpoint.id)
        .join(baseline, Evaluation.baseline_checkpoint_id == baseline.id)
        .outerjoin(previous, Evaluation.previous_checkpoint_id == previous.id)
        .outerjoin(FeatureSetVersion, Evaluation.feature_set_version_id == FeatureSetVersion.id)
        .where(Evaluation.monitor_id == monitor_id)
    )
    rows = session.execute(newest_first(statement, Evaluation.id, after, limit))
    return [EvaluationLine(*row) for row in rows]


def feature_history(
    session: Session,
    feature_id: UUID,
    *,
    monitor: str | None,
    comparison: str | None,
    after: HistoryPosition | None,
    limit: int,
) -> Sequence[FeatureLine]:
    """Verdicts on the feature's name in every version of its set, newest first, one too many."""
    page = _history_keys(feature_id, monitor, comparison, after, limit)
    chosen = (Verdict, Monitor.name, Checkpoint.name, FeatureSetVersion.number)
    rows = session.execute(_on_history(page, *chosen, Evaluation.created_at))
    return [FeatureLine(*row) for row in rows]


def feature_series(
    session: Session,
    feature_id: UUID,
    *,
    monitor: str | None,
    comparison: str | None,
    after: HistoryPosition | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """The same verdicts in few columns, named as `SeriesPoint` names them.

    The wide columns of evidence, of which most of a row consists, are not read from the disk.
    """
    page = _history_keys(feature_id, monitor, comparison, after, limit)
    return session.execute(
        _on_history(
            page,
            Verdict.evaluation_id.label("evaluation"),
            Evaluation.created_at,
            Monitor.name.label("monitor"),
            Checkpoint.name.label("checkpoint"),
            FeatureSetVersion.number.label("feature_set_version"),
            Verdict.comparison,
            Verdict.verdict,
            Verdict.estimand,
            Verdict.effect,
            Verdict.lower,
            Verdict.upper,
            Verdict.margin,
            Verdict.drift_score,
            Verdict.paged,
            Verdict.slow_drift,
        )
    ).all()


def _history_keys(
    feature_id: UUID,
    monitor: str | None,
    comparison: str | None,
    after: HistoryPosition | None,
    limit: int,
) -> Subquery:
    """Keys of a page of verdicts on a feature's name, and of one more.

    They come from the index alone; of the wide rows only the page's are read.
    """
    asked, version = aliased(Feature), aliased(FeatureSetVersion)
    feature_set = (
        select(version.feature_set_id)
        .join(asked, asked.feature_set_version_id == version.id)
        .where(asked.id == feature_id)
        .scalar_subquery()
    )
    name = select(asked.name).where(asked.id == feature_id).scalar_subquery()
    of_the_set = (
        select(Feature.id)
        .join(FeatureSetVersion, Feature.feature_set_version_id == FeatureSetVersion.id)
        .where(FeatureSetVersion.feature_set_id == feature_set, Feature.name == name)
    )
    keys = select(Verdict.evaluation_id, Verdict.comparison, Verdict.feature_id).where(
        Verdict.feature_id.in_(of_the_set)
    )
    if monitor is not None:
        keys = (
            keys.join(Evaluation, Verdict.evaluation_id == Evaluation.id)
            .join(Monitor, Evaluation.monitor_id == Monitor.id)
            .where(Monitor.name == monitor)
        )
    if comparison is not None:
        keys = keys.where(Verdict.comparison == comparison)
    if after is not None:
        keys = keys.where(
            or_(
                Verdict.evaluation_id < after.evaluation,
                and_(
                    Verdict.evaluation_id == after.evaluation,
                    Verdict.comparison > after.comparison,
                ),
            )
        )
    return (
        keys.order_by(Verdict.evaluation_id.desc(), Verdict.comparison).limit(limit + 1).subquery()
    )


def _on_history(page: Subquery, *columns: Any) -> Select[Any]:
    """Columns of a page's verdicts and of what they belong to, newest first."""
    return (
        select(*columns)
        .select_from(Verdict)
        .join(
            page,
            and_(
                Verdict.evaluation_id == page.c.evaluation_id,
                Verdict.comparison == page.c.comparison,
                Verdict.feature_id == page.c.feature_id,
            ),
        )
        .join(Feature, Verdict.feature_id == Feature.id)
        .join(FeatureSetVersion, Feature.feature_set_version_id == FeatureSetVersion.id)
        .join(Evaluation, Verdict.evaluation_id == Evaluation.id)
        .join(Monitor, Evaluation.monitor_id == Monitor.id)
        .join(Checkpoint, Evaluation.checkpoint_id == Checkpoint.id)
        .order_by(Verdict.evaluation_id.desc(), Verdict.comparison)
    )
