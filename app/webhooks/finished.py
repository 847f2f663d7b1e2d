"""The event `evaluation.finished`, with the gate's answer for the evaluation's checkpoint."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from app.evaluations.tables import Evaluation
from app.monitors.tables import Monitor
from app.registry.tables import Checkpoint, Model
from app.settings import get_settings
from app.verdicts.service import gate_of
from app.webhooks import repository
from app.webhooks.events import emit

EVENT = "evaluation.finished"


def emit_finished(session: Session, evaluation_ids: Sequence[UUID]) -> int:
    """Tell of evaluations that end in the caller's transaction, in whatever state.

    The gate is asked only when somebody wants to know.

    Returns:
        To how many webhooks, over all evaluations.
    """
    session.flush()
    return sum(_emit(session, one) for one in sorted(evaluation_ids))


def _emit(session: Session, evaluation_id: UUID) -> int:
    evaluation = session.get_one(Evaluation, evaluation_id, populate_existing=True)
    monitor = session.get_one(Monitor, evaluation.monitor_id)
    model = session.get_one(Model, monitor.model_id)
    if not repository.matching_webhooks(session, EVENT, model=model.name, monitor=monitor.name):
        return 0
    checkpoint = session.get_one(Checkpoint, evaluation.checkpoint_id)
    gate = gate_of(session, model, checkpoint)
    public = get_settings().public_url
    base = f"{public}/v1"
    path = f"{base}/models/{model.name}/checkpoints/{checkpoint.name}"
    data: dict[str, Any] = {
        "evaluation": evaluation.id,
        "checkpoint": checkpoint.name,
        "state": evaluation.state,
        "error": evaluation.error,
        "finished_at": evaluation.finished_at,
        "gate": gate.gate,
        "reasons": gate.reasons,
        "links": {
            "evaluation": f"{base}/evaluations/{evaluation.id}",
            "verdicts": f"{base}/evaluations/{evaluation.id}/verdicts",
            "checkpoint": path,
            "gate": f"{path}/gate",
        },
        "pages": {
            "evaluation": f"{public}/evaluations/{evaluation.id}",
            "report": f"{public}/evaluations/{evaluation.id}/report",
            "checkpoint": f"{public}/models/{model.name}/checkpoints/{checkpoint.name}",
            "monitor": f"{public}/models/{model.name}/monitors/{monitor.name}",
        },
    }
    return emit(session, EVENT, data, model=model.name, monitor=monitor.name)
