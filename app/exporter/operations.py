"""The exporter's SQL on what the service as a whole is doing."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import extract, func, select, true
from sqlalchemy.orm import Session

from app.alerts.tables import Alert
from app.evaluations.tables import Evaluation, OutboxMessage, Shard
from app.exporter.repository import Rows
from app.monitors.tables import Monitor
from app.registry.tables import Checkpoint, Model


def registered(session: Session, models: Sequence[str]) -> Rows:
    """(model, registered): when the newest checkpoint of each was registered.

    The newest by its id, as everywhere: two times of registration may lie the other way round.
    """
    newest = (
        select(Checkpoint.created_at)
        .where(Checkpoint.model_id == Model.id)
        .order_by(Checkpoint.id.desc())
        .limit(1)
        .lateral()
    )
    return session.execute(
        select(Model.name.label("model"), newest.c.created_at.label("registered"))
        .join(newest, true())
        .where(Model.name.in_(models))
    ).all()


def unjudged(session: Session, monitor_ids: Sequence[UUID]) -> Rows:
    """(monitor_id, registered): the first checkpoint after the newest that each monitor judged.

    The first, not the newest: where checkpoints keep coming, the newest is never old.
    """
    judged = (
        select(Evaluation.checkpoint_id)
        .where(Evaluation.monitor_id == Monitor.id, Evaluation.state == "succeeded")
        .order_by(Evaluation.checkpoint_id.desc())
        .limit(1)
        .lateral()
    )
    # A minimum, not the first by id: for that the planner would walk along all newer checkpoints
    # of other models, where this one has none.
    waiting = (
        select(func.min(Checkpoint.created_at).label("registered"))
        .where(Checkpoint.model_id == Monitor.model_id, Checkpoint.id > judged.c.checkpoint_id)
        .lateral()
    )
    return session.execute(
        select(Monitor.id.label("monitor_id"), waiting.c.registered)
        .select_from(Monitor)
        .join(judged, true())
        .join(waiting, waiting.c.registered.is_not(None))
        .where(Monitor.id.in_(monitor_ids), Monitor.enabled)
    ).all()


def unresolved_alerts(session: Session, monitor_ids: Sequence[UUID]) -> Rows:
    """(monitor_id, severity, state, alerts) of what is open or acknowledged."""
    return session.execute(
        select(Alert.monitor_id, Alert.severity, Alert.state, func.count().label("alerts"))
        .where(Alert.monitor_id.in_(monitor_ids), Alert.state != "resolved")
        .group_by(Alert.monitor_id, Alert.severity, Alert.state)
    ).all()


def outbox_oldest_age(session: Session) -> float:
    """Seconds that the oldest unpublished message has been due; 0 when there is none.

    A failed attempt's message waits on purpose before it is due.
    """
    age = session.scalar(
        select(
            extract("epoch", func.clock_timestamp() - func.min(OutboxMessage.available_at))
        ).where(OutboxMessage.published_at.is_(None))
    )
    return max(0.0, float(age)) if age is not None else 0.0


def open_shards(session: Session) -> Rows:
    """(state, shards) for what waits and what runs; finished ones are history, not load."""
    return session.execute(
        select(Shard.state, func.count().label("shards"))
        .where(Shard.state.in_(("queued", "running")))
        .group_by(Shard.state)
    ).all()


def shards_oldest_queued_age(session: Session) -> float:
    """Seconds that the shard that has waited longest for a worker has waited; 0 without any."""
    age = session.scalar(
        select(extract("epoch", func.clock_timestamp() - func.min(Shard.queued_at))).where(
            Shard.state == "queued"
        )
    )
    return max(0.0, float(age)) if age is not None else 0.0
