"""What a claimed shard is about, by the names that people know: for logs and traces."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.evaluations.ledger import OPEN, Claim
from app.evaluations.tables import Evaluation, EvaluationSnapshot, Snapshot
from app.monitors.tables import Monitor
from app.registry.tables import Checkpoint, Model

_MOST = 10


def subjects(session: Session, claim: Claim) -> dict[str, Any]:
    """`model` and `checkpoint`, and `evaluation` and `monitor`.

    For a shard of a snapshot that several open evaluations wait for, there are `evaluations` and
    `monitors` instead: the first ten.
    """
    if claim.evaluation_id is not None:
        owner = (
            select(Evaluation.id, Monitor.name, Model.name, Checkpoint.name)
            .join(Monitor, Evaluation.monitor_id == Monitor.id)
            .join(Checkpoint, Evaluation.checkpoint_id == Checkpoint.id)
            .join(Model, Checkpoint.model_id == Model.id)
            .where(Evaluation.id == claim.evaluation_id)
        )
        row = session.execute(owner).one()
        named = {"evaluation": str(row[0]), "monitor": row[1]}
        return {**named, "model": row[2], "checkpoint": row[3]}
    captured = session.execute(
        select(Model.name, Checkpoint.name)
        .join(Checkpoint, Checkpoint.model_id == Model.id)
        .join(Snapshot, Snapshot.checkpoint_id == Checkpoint.id)
        .where(Snapshot.id == claim.snapshot_id)
    ).one()
    waiting = session.execute(
        select(Evaluation.id, Monitor.name)
        .join(Monitor, Evaluation.monitor_id == Monitor.id)
        .join(EvaluationSnapshot, EvaluationSnapshot.evaluation_id == Evaluation.id)
        .where(EvaluationSnapshot.snapshot_id == claim.snapshot_id, Evaluation.state.in_(OPEN))
        .distinct()
        .order_by(Evaluation.id)
        .limit(_MOST)
    ).all()
    found: dict[str, Any] = {"model": captured[0], "checkpoint": captured[1]}
    if len(waiting) == 1:
        found |= {"evaluation": str(waiting[0][0]), "monitor": waiting[0][1]}
    elif waiting:
        found["evaluations"] = [str(row[0]) for row in waiting]
        found["monitors"] = sorted({row[1] for row in waiting})
    return found
