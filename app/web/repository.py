"""SQL of what pages gather over many models, checkpoints or evaluations at once."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, func, or_, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session, aliased

from app.alerts.tables import Alert
from app.evaluations.tables import Evaluation, EvaluationSnapshot, Shard
from app.monitors.tables import Monitor
from app.registry.tables import Checkpoint, Feature, FeatureSet, FeatureSetVersion
from app.repairs.tables import Repair
from app.verdicts.tables import Control, Verdict


@dataclass(frozen=True)
class Asked:
    """An evaluation as lists of checkpoints show it.

    Attributes:
        comparisons: of its summary, by name.
    """

    id: UUID
    checkpoint_id: UUID
    monitor: str
    state: str
    comparisons: dict[str, Any]


@dataclass(frozen=True)
class Stop:
    """A checkpoint on a monitor's line: its newest evaluation that succeeded."""

    evaluation_id: UUID
    checkpoint: str
    baseline_checkpoint_id: UUID
    baseline: str


class Pace(NamedTuple):
    """How fast shards of an evaluation have lately ended.

    Attributes:
        finished: shards that have ended since its work began.
        since: when that was; None before it began.
    """

    finished: int
    since: datetime | None


def newest_checkpoints(session: Session, model_ids: Collection[UUID]) -> dict[UUID, Checkpoint]:
    """Model → the checkpoint that was registered last."""
    rows = session.scalars(
        select(Checkpoint)
        .where(Checkpoint.model_id.in_(model_ids))
        .ext(distinct_on(Checkpoint.model_id))
        .order_by(Checkpoint.model_id, Checkpoint.id.desc())
    )
    return {row.model_id: row for row in rows}


def monitor_counts(session: Session, model_ids: Collection[UUID]) -> dict[UUID, int]:
    """Model → its enabled monitors."""
    rows = session.execute(
        select(Monitor.model_id, func.count())
        .where(Monitor.model_id.in_(model_ids), Monitor.enabled)
        .group_by(Monitor.model_id)
    )
    return {row[0]: row[1] for row in rows}


def unresolved_alerts(
    session: Session, model_ids: Collection[UUID]
) -> dict[UUID, dict[tuple[str, str], int]]:
    """Model → (severity, state) → alerts that are not resolved."""
    rows = session.execute(
        select(Monitor.model_id, Alert.severity, Alert.state, func.count())
        .join(Monitor, Alert.monitor_id == Monitor.id)
        .where(Monitor.model_id.in_(model_ids), Alert.state != "resolved")
        .group_by(Monitor.model_id, Alert.severity, Alert.state)
    )
    found: dict[UUID, dict[tuple[str, str], int]] = {}
    for model_id, severity, state, count in rows:
        found.setdefault(model_id, {})[severity, state] = count
    return found


def proposed_repairs(session: Session, model_ids: Collection[UUID]) -> dict[UUID, int]:
    """Model → repairs that wait for a decision."""
    rows = session.execute(
        select(Monitor.model_id, func.count())
        .select_from(Repair)
        .join(Monitor, Repair.monitor_id == Monitor.id)
        .where(Monitor.model_id.in_(model_ids), Repair.state == "proposed")
        .group_by(Monitor.model_id)
    )
    return {row[0]: row[1] for row in rows}


def asked_of(session: Session, checkpoint_ids: Collection[UUID]) -> dict[UUID, list[Asked]]:
    """Checkpoint → the newest evaluation by each monitor, by the monitors' names."""
    newest = (
        select(Evaluation.id)
        .where(Evaluation.checkpoint_id.in_(checkpoint_ids))
        .ext(distinct_on(Evaluation.checkpoint_id, Evaluation.monitor_id))
        .order_by(Evaluation.checkpoint_id, Evaluation.monitor_id, Evaluation.id.desc())
    )
    rows = session.execute(
        select(
            Evaluation.id,
            Evaluation.checkpoint_id,
            Monitor.name,
            Evaluation.state,
            Evaluation.summary["comparisons"],
        )
        .join(Monitor, Evaluation.monitor_id == Monitor.id)
        .where(Evaluation.id.in_(newest))
        .order_by(Monitor.name)
    )
    found: dict[UUID, list[Asked]] = {}
    for row in rows:
        asked = Asked(row[0], row[1], row[2], row[3], row[4] or {})
        found.setdefault(asked.checkpoint_id, []).append(asked)
    return found


def newest_of_monitors(session: Session, monitor_ids: Collection[UUID]) -> dict[UUID, Evaluation]:
    """Monitor → its newest evaluation."""
    rows = session.scalars(
        select(Evaluation)
        .where(Evaluation.monitor_id.in_(monitor_ids))
        .ext(distinct_on(Evaluation.monitor_id))
        .order_by(Evaluation.monitor_id, Evaluation.id.desc())
    )
    return {row.monitor_id: row for row in rows}


def line_of(session: Session, monitor_id: UUID, limit: int) -> list[Stop]:
    """The last checkpoints that a monitor has judged, in the order of their registration."""
    newest = (
        select(Evaluation.id)
        .where(Evaluation.monitor_id == monitor_id, Evaluation.state == "succeeded")
        .ext(distinct_on(Evaluation.checkpoint_id))
        .order_by(Evaluation.checkpoint_id, Evaluation.id.desc())
    )
    baseline = aliased(Checkpoint)
    rows = session.execute(
        select(Evaluation.id, Checkpoint.name, Evaluation.baseline_checkpoint_id, baseline.name)
        .join(Checkpoint, Evaluation.checkpoint_id == Checkpoint.id)
        .join(baseline, Evaluation.baseline_checkpoint_id == baseline.id)
        .where(Evaluation.id.in_(newest))
        .order_by(Checkpoint.id.desc())
        .limit(limit)
    )
    return [Stop(*row) for row in rows][::-1]


def points_of(
    session: Session, evaluation_ids: Collection[UUID]
) -> Sequence[Row[*tuple[Any, ...]]]:
    """Verdicts against the baseline in few columns: what the charts of a line draw."""
    return session.execute(
        select(
            Verdict.evaluation_id,
            Verdict.feature,
            Verdict.feature_id,
            Verdict.verdict,
            Verdict.estimand,
            Verdict.effect,
            Verdict.lower,
            Verdict.upper,
            Verdict.margin,
            Verdict.drift_score,
        )
        .where(Verdict.evaluation_id.in_(evaluation_ids), Verdict.comparison == "baseline")
        .order_by(Verdict.feature)
    ).all()


def controls_of(
    session: Session, evaluation_ids: Collection[UUID]
) -> dict[UUID, dict[str, bool | None]]:
    """Evaluation → control → whether it held."""
    rows = session.execute(
        select(Control.evaluation_id, Control.control, Control.passed).where(
            Control.evaluation_id.in_(evaluation_ids)
        )
    )
    found: dict[UUID, dict[str, bool | None]] = {}
    for evaluation_id, control, passed in rows:
        found.setdefault(evaluation_id, {})[control] = passed
    return found


def pace_of(session: Session, evaluation_id: UUID, started_at: datetime | None) -> Pace:
    """How many shards have ended since the work on an evaluation began.

    What was captured before, for another evaluation, says nothing of how fast this one is.
    """
    if started_at is None:
        return Pace(0, None)
    snapshots = select(EvaluationSnapshot.snapshot_id).where(
        EvaluationSnapshot.evaluation_id == evaluation_id
    )
    finished = session.scalar(
        select(func.count())
        .select_from(Shard)
        .where(
            or_(Shard.evaluation_id == evaluation_id, Shard.snapshot_id.in_(snapshots)),
            Shard.state == "succeeded",
            Shard.finished_at >= started_at,
        )
    )
    return Pace(finished or 0, started_at)


def alert_ids_of(session: Session, evaluation_id: UUID, limit: int) -> Sequence[UUID]:
    """Alerts that an evaluation opened or was the last to speak of."""
    return session.scalars(
        select(Alert.id)
        .where(
            or_(
                Alert.first_evaluation_id == evaluation_id,
                Alert.last_evaluation_id == evaluation_id,
            )
        )
        .order_by(Alert.id)
        .limit(limit)
    ).all()


def versions_of(session: Session, feature_id: UUID) -> Sequence[Row[*tuple[Any, ...]]]:
    """The feature of the same name in each version of its set, newest first."""
    asked, version = aliased(Feature), aliased(FeatureSetVersion)
    feature_set = (
        select(version.feature_set_id)
        .join(asked, asked.feature_set_version_id == version.id)
        .where(asked.id == feature_id)
        .scalar_subquery()
    )
    name = select(asked.name).where(asked.id == feature_id).scalar_subquery()
    return session.execute(
        select(Feature.id, FeatureSetVersion.number, Feature.definition_digest, FeatureSet.name)
        .join(FeatureSetVersion, Feature.feature_set_version_id == FeatureSetVersion.id)
        .join(FeatureSet, FeatureSetVersion.feature_set_id == FeatureSet.id)
        .where(FeatureSetVersion.feature_set_id == feature_set, Feature.name == name)
        .order_by(FeatureSetVersion.number.desc())
        .limit(50)
    ).all()
