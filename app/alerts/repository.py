"""SQL of alerts."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, cast, exists, func, select, tuple_
from sqlalchemy.dialects.postgresql import JSONB, JSONPATH
from sqlalchemy.orm import Session, aliased

from app.alerts.tables import Alert
from app.core.ids import new_id
from app.core.rows import newest_first
from app.evaluations.tables import Evaluation
from app.monitors.tables import Monitor
from app.registry.tables import Checkpoint, Dictionary, Feature, Model
from app.repairs.tables import Repair
from app.verdicts.tables import Control, Verdict

Subject = tuple[str, str]
"""Subject kind and subject."""


class Position(NamedTuple):
    """Where an evaluation stands in its monitor's history: by checkpoint, then by evaluation."""

    registered: datetime
    accepted: datetime
    evaluation: UUID


@dataclass(frozen=True)
class Facts:
    """An ended evaluation, as far as alerts need it."""

    id: UUID
    monitor_id: UUID
    state: str
    error: dict[str, Any] | None
    summary: dict[str, Any] | None
    policy: dict[str, Any]
    dictionary_id: UUID | None
    checkpoint: str
    baseline: str
    registered: datetime
    accepted: datetime

    @property
    def position(self) -> Position:
        """Where it stands in its monitor's history."""
        return Position(self.registered, self.accepted, self.id)


@dataclass(frozen=True)
class Watched:
    """A monitor, as far as alerts need it."""

    id: UUID
    name: str
    model: str
    watchlist: list[str]
    enabled: bool


class Newer(NamedTuple):
    """Which kinds of newer evaluations the monitor has."""

    ended: bool = False
    succeeded: bool = False
    valid: bool = False


class Proposal(NamedTuple):
    """A repair that an evaluation proposes."""

    id: UUID
    state: str
    features: list[str]


@dataclass(frozen=True)
class AlertView:
    """An alert with the names of what it refers to."""

    alert: Alert
    monitor: str
    model: str
    since: str | None
    latest: str | None
    proposals: Sequence[Proposal] = ()


def get_facts(session: Session, evaluation_id: UUID) -> Facts | None:
    """An evaluation as this transaction sees it."""
    baseline = aliased(Checkpoint)
    row = session.execute(
        select(
            Evaluation.id,
            Evaluation.monitor_id,
            Evaluation.state,
            Evaluation.error,
            Evaluation.summary,
            Evaluation.policy,
            Evaluation.dictionary_id,
            Checkpoint.name,
            baseline.name,
            Checkpoint.created_at,
            Evaluation.created_at,
        )
        .join(Checkpoint, Checkpoint.id == Evaluation.checkpoint_id)
        .join(baseline, baseline.id == Evaluation.baseline_checkpoint_id)
        .where(Evaluation.id == evaluation_id)
    ).one_or_none()
    return Facts(*row) if row is not None else None


def lock_monitor(session: Session, monitor_id: UUID) -> Watched:
    """The monitor, locked: evaluations of one monitor are followed one after another."""
    row = session.execute(
        select(Monitor.id, Monitor.name, Model.name, Monitor.watchlist, Monitor.enabled)
        .join(Model, Model.id == Monitor.model_id)
        .where(Monitor.id == monitor_id)
        .with_for_update(key_share=True, of=Monitor)
    ).one()
    return Watched(*row)


def newer_evaluations(session: Session, facts: Facts) -> Newer:
    """What is known of evaluations that stand after this one in the monitor's history."""
    judged = exists().where(
        Verdict.evaluation_id == Evaluation.id,
        Verdict.comparison == "baseline",
        Verdict.verdict != "invalid",
    )
    ended, succeeded = (
        Evaluation.state.in_(("succeeded", "failed")),
        Evaluation.state == "succeeded",
    )
    position = tuple_(Checkpoint.created_at, Evaluation.created_at, Evaluation.id)
    row = session.execute(
        select(
            func.coalesce(func.bool_or(ended), False),
            func.coalesce(func.bool_or(succeeded), False),
            func.coalesce(func.bool_or(and_(succeeded, judged)), False),
        )
        .select_from(Evaluation)
        .join(Checkpoint, Checkpoint.id == Evaluation.checkpoint_id)
        .where(Evaluation.monitor_id == facts.monitor_id, ended, position > facts.position)
    ).one()
    return Newer(*row)


def positions(session: Session, evaluation_ids: Collection[UUID]) -> dict[UUID, Position]:
    """Where some evaluations stand in their monitors' histories."""
    rows = session.execute(
        select(Evaluation.id, Checkpoint.created_at, Evaluation.created_at)
        .join(Checkpoint, Checkpoint.id == Evaluation.checkpoint_id)
        .where(Evaluation.id.in_(evaluation_ids))
    )
    return {row[0]: Position(row[1], row[2], row[0]) for row in rows}


def lock_unresolved(session: Session, monitor_id: UUID) -> dict[Subject, Alert]:
    """Unresolved alerts of a monitor by subject, locked and read afresh."""
    rows = session.scalars(
        select(Alert)
        .where(Alert.monitor_id == monitor_id, Alert.state != "resolved")
        .order_by(Alert.id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    return {(row.subject_kind, row.subject): row for row in rows}


def lock_alert(session: Session, alert_id: UUID) -> Alert | None:
    """An alert, locked and read afresh."""
    return session.scalars(
        select(Alert)
        .where(Alert.id == alert_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).one_or_none()


def insert_alert(session: Session, **values: Any) -> Alert:
    """A new alert."""
    alert = Alert(id=new_id(), **values)
    session.add(alert)
    session.flush()
    return alert


def baseline_verdicts(
    session: Session, evaluation_id: UUID, features: Collection[str]
) -> dict[str, Verdict]:
    """Verdicts of the comparison with the pinned baseline, by feature."""
    rows = session.scalars(
        select(Verdict).where(
            Verdict.evaluation_id == evaluation_id,
            Verdict.comparison == "baseline",
            Verdict.feature.in_(features),
        )
    )
    return {row.feature: row for row in rows}


def any_verdict(session: Session, evaluation_id: UUID) -> tuple[bool, str | None]:
    """Whether the evaluation says anything of any feature, and a reason that it gives."""
    valid = func.bool_or(Verdict.verdict != "invalid")
    row = session.execute(
        select(func.coalesce(valid, False), func.min(Verdict.reason)).where(
            Verdict.evaluation_id == evaluation_id, Verdict.comparison == "baseline"
        )
    ).one()
    return row[0], row[1]


def controls(session: Session, evaluation_id: UUID) -> Sequence[Control]:
    """The controls of an evaluation, by name."""
    return session.scalars(
        select(Control).where(Control.evaluation_id == evaluation_id).order_by(Control.control)
    ).all()


def blaming_verdicts(session: Session, evaluation_id: UUID) -> dict[str, list[Verdict]]:
    """Dictionary → verdicts whose diagnosis blames it."""
    rows = session.execute(
        select(Dictionary.name, Verdict)
        .select_from(Verdict)
        .join(Evaluation, Evaluation.id == Verdict.evaluation_id)
        .outerjoin(Feature, Feature.id == Verdict.feature_id)
        .join(
            Dictionary,
            Dictionary.id == func.coalesce(Feature.dictionary_id, Evaluation.dictionary_id),
        )
        .where(
            Verdict.evaluation_id == evaluation_id,
            Verdict.comparison == "baseline",
            Verdict.diagnosis == "dictionary_stale",
        )
        .order_by(Dictionary.name, Verdict.feature)
    )
    found: dict[str, list[Verdict]] = {}
    for dictionary, verdict in rows:
        found.setdefault(dictionary, []).append(verdict)
    return found


def get_view(session: Session, alert_id: UUID) -> AlertView | None:
    """An alert with names."""
    found = views(session, [alert_id])
    return found[0] if found else None


def views(session: Session, alert_ids: Collection[UUID]) -> list[AlertView]:
    """Some alerts with names, oldest first."""
    rows = session.execute(_views().where(Alert.id.in_(alert_ids)).order_by(Alert.id))
    return _with_proposals(session, [AlertView(*row) for row in rows])


def list_views(
    session: Session,
    *,
    model: str | None,
    monitor: str | None,
    state: Sequence[str],
    subject_kind: str | None,
    severity: str | None,
    subject: str | None,
    after: UUID | None,
    limit: int,
) -> Sequence[AlertView]:
    """Alerts, newest first, one more than `limit`."""
    statement = _views()
    for column, wanted in (
        (Model.name, model),
        (Monitor.name, monitor),
        (Alert.subject_kind, subject_kind),
        (Alert.severity, severity),
        (Alert.subject, subject),
    ):
        if wanted is not None:
            statement = statement.where(column == wanted)
    if state:
        statement = statement.where(Alert.state.in_(state))
    rows = session.execute(newest_first(statement, Alert.id, after, limit))
    return _with_proposals(session, [AlertView(*row) for row in rows])


def _views() -> Select[Alert, str, str, str, str]:
    first, last = aliased(Evaluation), aliased(Evaluation)
    since, latest = aliased(Checkpoint), aliased(Checkpoint)
    return (
        select(Alert, Monitor.name, Model.name, since.name, latest.name)
        .join(Monitor, Monitor.id == Alert.monitor_id)
        .join(Model, Model.id == Monitor.model_id)
        .outerjoin(first, first.id == Alert.first_evaluation_id)
        .outerjoin(since, since.id == first.checkpoint_id)
        .outerjoin(last, last.id == Alert.last_evaluation_id)
        .outerjoin(latest, latest.id == last.checkpoint_id)
    )


def _with_proposals(session: Session, found: list[AlertView]) -> list[AlertView]:
    """The same with what the evaluations that raised them propose."""
    raised_by = {view.alert.id: _uuid(view.alert.evidence.get("evaluation")) for view in found}
    proposals = _proposals(session, {one for one in raised_by.values() if one is not None})
    return [
        AlertView(
            view.alert,
            view.monitor,
            view.model,
            view.since,
            view.latest,
            proposals.get(one, ()) if (one := raised_by[view.alert.id]) is not None else (),
        )
        for view in found
    ]


def _proposals(
    session: Session, evaluation_ids: Collection[UUID]
) -> Mapping[UUID, Sequence[Proposal]]:
    path = cast("$[*].feature", JSONPATH)
    names: ColumnElement[list[str]] = func.jsonb_path_query_array(
        Repair.changes, path, type_=JSONB()
    )
    rows = session.execute(
        select(Repair.evaluation_id, Repair.id, Repair.state, names)
        .where(Repair.evaluation_id.in_(evaluation_ids), Repair.comparison == "baseline")
        .order_by(Repair.id)
    )
    found: dict[UUID, list[Proposal]] = {}
    for evaluation_id, repair_id, state, features in rows:
        found.setdefault(evaluation_id, []).append(Proposal(repair_id, state, features))
    return found


def _uuid(value: Any) -> UUID | None:
    return UUID(value) if isinstance(value, str) else None
