"""Accepting evaluations: what is compared with what is decided here, once, and kept."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from app.access import audit
from app.core import correlation
from app.core.digests import sha256_json
from app.core.errors import InvalidInputError, NotFoundError
from app.evaluations import ledger, repository
from app.evaluations.repository import EvaluationView
from app.evaluations.schemas import (
    ControlOut,
    DictionaryHealthOut,
    EvaluationOut,
    Failure,
    PageShareOut,
    Progress,
)
from app.monitors.baselines import resolve_baseline
from app.monitors.repository import enabled_monitors
from app.monitors.schemas import BaselineRule, FeatureSetVersionRef
from app.monitors.tables import Monitor
from app.registry.repository.models import benign_checkpoints, checkpoint_before
from app.registry.schemas.models import SkippedMonitor
from app.registry.tables import Checkpoint, Corpus, FeatureSetVersion, Model


def start(
    session: Session, model: Model, monitor: Monitor, checkpoint: Checkpoint
) -> tuple[UUID, bool]:
    """The evaluation of a checkpoint by a monitor as both are now, and whether it is new.

    Raises:
        InvalidInputError: the monitor's baseline names nothing at this moment.
    """
    rule = BaselineRule.model_validate(monitor.baseline)
    baseline = resolve_baseline(session, model, rule)
    previous_id = checkpoint.parent_id
    if previous_id is None:
        before = checkpoint_before(session, checkpoint)
        previous_id = before.id if before is not None else None
    inputs: dict[str, Any] = {
        "monitor": str(monitor.id),
        "checkpoint": str(checkpoint.id),
        "baseline": str(baseline.id),
        "previous": str(previous_id) if previous_id is not None else None,
        "corpus": session.get_one(Corpus, monitor.corpus_id).digest,
        "features": _target_digest(session, monitor),
        # How long snapshots are kept changes no answer, so it makes no new question.
        "policy": {key: monitor.policy[key] for key in monitor.policy if key != "retention"},
    }
    marked = benign_checkpoints(session, model.id, exclude={baseline.id, checkpoint.id})
    if marked:
        # They set the noise floor: after another mark the same question has another answer.
        inputs["benign"] = sorted(str(row.id) for row in marked)
    inputs_digest = sha256_json(inputs)
    cause = correlation.current()
    evaluation = repository.insert_evaluation(
        session,
        monitor_id=monitor.id,
        checkpoint_id=checkpoint.id,
        baseline_checkpoint_id=baseline.id,
        previous_checkpoint_id=previous_id,
        corpus_id=monitor.corpus_id,
        feature_set_version_id=monitor.feature_set_version_id,
        dictionary_id=monitor.dictionary_id,
        policy=monitor.policy,
        inputs_digest=inputs_digest,
        request_id=cause.request_id,
        traceparent=cause.traceparent,
    )
    if evaluation is None:
        existing = repository.find_evaluation_id(session, monitor.id, checkpoint.id, inputs_digest)
        return existing, False
    ledger.open_shard(session, kind="plan", evaluation_id=evaluation.id)
    return evaluation.id, True


def start_all(
    session: Session, model: Model, checkpoint: Checkpoint
) -> tuple[list[UUID], list[SkippedMonitor]]:
    """Start one evaluation per enabled monitor; a monitor that cannot start says why."""
    started: list[UUID] = []
    skipped: list[SkippedMonitor] = []
    for monitor in enabled_monitors(session, model.id):
        try:
            evaluation_id, _ = start(session, model, monitor, checkpoint)
        except InvalidInputError as error:
            reason = SkippedMonitor(monitor=monitor.name, code=error.code, detail=error.detail)
            skipped.append(reason)
        else:
            started.append(evaluation_id)
    return started, skipped


def record(session: Session, evaluation_id: UUID, done: str) -> None:
    """Add to the audit trail that somebody asked for an evaluation, stopped it, or let it go on.

    Raises:
        NotFoundError: there is none.
    """
    view = find_view(session, evaluation_id)
    audit.record(
        session,
        action=f"evaluation.{done}",
        subject_id=evaluation_id,
        detail={"monitor": view.names.monitor, "checkpoint": view.names.checkpoint},
        model=view.names.model,
    )


def newest_ids(session: Session, checkpoint_ids: Sequence[UUID]) -> dict[UUID, list[UUID]]:
    """Evaluations of some checkpoints, newest first, at most 500 of each."""
    return repository.newest_ids(session, checkpoint_ids)


def find_view(session: Session, evaluation_id: UUID) -> EvaluationView:
    """An evaluation with all that its resource shows.

    Raises:
        NotFoundError: there is none.
    """
    view = repository.get_view(session, evaluation_id)
    if view is None:
        raise unknown(evaluation_id)
    return view


def find_state(session: Session, evaluation_id: UUID) -> str:
    """The state of an evaluation.

    Raises:
        NotFoundError: there is none.
    """
    state = repository.get_state(session, evaluation_id)
    if state is None:
        raise unknown(evaluation_id)
    return state


def unknown(evaluation_id: UUID) -> NotFoundError:
    """The error for an id that no evaluation has."""
    return NotFoundError(
        f"there is no evaluation {evaluation_id}; GET /v1/evaluations lists them",
        code="unknown_evaluation",
        field="evaluation",
        value=str(evaluation_id),
    )


def present(view: EvaluationView) -> EvaluationOut:
    """An evaluation as it is answered."""
    evaluation, names = view.evaluation, view.names
    here = f"/v1/evaluations/{evaluation.id}"
    checkpoint = f"/v1/models/{names.model}/checkpoints/{names.checkpoint}"
    reference = None
    if names.feature_set is not None and names.feature_set_version is not None:
        reference = FeatureSetVersionRef(name=names.feature_set, version=names.feature_set_version)
    error, share = evaluation.error, view.page_share
    return EvaluationOut.model_validate(
        {
            "id": evaluation.id,
            "monitor": names.monitor,
            "model": names.model,
            "checkpoint": names.checkpoint,
            "baseline": names.baseline,
            "previous": names.previous,
            "corpus": names.corpus,
            "feature_set": reference,
            "dictionary": names.dictionary,
            "policy": evaluation.policy,
            "inputs_digest": evaluation.inputs_digest,
            "state": evaluation.state,
            "step": evaluation.step,
            "progress": Progress(shards_done=view.work.done, shards_total=view.work.total),
            "attempts": view.work.attempts,
            "error": Failure.model_validate(error) if error is not None else None,
            "summary": evaluation.summary,
            "controls": [ControlOut.model_validate(control) for control in view.controls],
            "page_share": PageShareOut.model_validate(share) if share is not None else None,
            "dictionary_health": [DictionaryHealthOut.model_validate(row) for row in view.health],
            "collected": view.collected,
            "created_at": evaluation.created_at,
            "started_at": evaluation.started_at,
            "finished_at": evaluation.finished_at,
            "links": {
                "self": here,
                "verdicts": f"{here}/verdicts",
                "repairs": f"/v1/repairs?evaluation={evaluation.id}",
                "cancel": f"{here}:cancel",
                "retry": f"{here}:retry",
                "monitor": f"/v1/monitors/{names.monitor}",
                "checkpoint": checkpoint,
                "gate": f"{checkpoint}/gate",
            },
        }
    )


def _target_digest(session: Session, monitor: Monitor) -> str:
    if monitor.feature_set_version_id is not None:
        return session.get_one(FeatureSetVersion, monitor.feature_set_version_id).digest
    return str(monitor.dictionary_id)
