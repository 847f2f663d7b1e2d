"""/v1/models/{model}/checkpoints: the call that a training job makes."""

from collections.abc import Sequence
from uuid import UUID

from fastapi import APIRouter, Response
from sqlalchemy.orm import Session

from app.access.routes import Post
from app.access.service import Answer
from app.core.dependencies import AppDatabase, AppSettings
from app.core.etags import etag
from app.core.paging import Cursor, Limit, decode_cursor, make_page
from app.core.preconditions import IfMatch
from app.core.problems import PROBLEM_RESPONSES
from app.core.schemas import Page
from app.evaluations.admission import admit
from app.evaluations.service import newest_ids, start_all
from app.registry.paths import CheckpointName, ModelName
from app.registry.repository import models as repository
from app.registry.schemas.models import (
    CheckpointCreate,
    CheckpointOut,
    CheckpointPatch,
    SkippedMonitor,
)
from app.registry.service import models as service
from app.registry.tables import Checkpoint

router = APIRouter(
    prefix="/models/{model}/checkpoints", tags=["checkpoints"], responses=PROBLEM_RESPONSES
)


@router.post(
    "",
    status_code=202,
    response_model=CheckpointOut,
    responses={
        200: {"model": CheckpointOut, "description": "Registered before, with the same content"},
        201: {"model": CheckpointOut, "description": "Registered; no monitor to start"},
        202: {"description": "Registered; its evaluations are under way (`Location`)"},
    },
)
def register_checkpoint(
    model: ModelName, body: CheckpointCreate, settings: AppSettings, post: Post
) -> Response:
    """Register a checkpoint and start one evaluation for each enabled monitor of the model."""
    fault = service.source_fault(body, settings)

    def work(session: Session) -> Answer:
        found = service.find_model(session, model, lock=True)
        checkpoint, parent, created = service.register_checkpoint(session, found, body, fault)
        if not created:
            existing = newest_ids(session, [checkpoint.id]).get(checkpoint.id, [])
            out = _present(model, checkpoint, parent, existing)
            return Answer(200, out, {"Location": out.links["self"]})
        started, skipped = start_all(session, found, checkpoint)
        if started:
            admit(session, settings.max_queued_evaluations)
        out = _present(model, checkpoint, parent, started, skipped)
        if not started:
            return Answer(201, out, {"Location": out.links["self"]})
        location = out.links["evaluations"]
        if len(started) == 1:
            location = f"/v1/evaluations/{started[0]}"
        return Answer(202, out, {"Location": location})

    return post.answer(work)


@router.get("")
def list_checkpoints(
    model: ModelName, database: AppDatabase, cursor: Cursor = None, limit: Limit = 50
) -> Page[CheckpointOut]:
    """Checkpoints of a model, newest first."""
    after = decode_cursor(cursor, UUID)
    with database.unit_of_work() as session:
        found = service.find_model(session, model)
        rows = repository.list_checkpoints(session, found.id, after, limit)
        page, following = make_page(rows, limit, lambda row: row[0].id)
        evaluations = newest_ids(session, [checkpoint.id for checkpoint, _ in page])
    items = [
        _present(model, checkpoint, parent, evaluations.get(checkpoint.id, []))
        for checkpoint, parent in page
    ]
    return Page(items=items, next_cursor=following)


@router.get("/{checkpoint}")
def get_checkpoint(
    model: ModelName, checkpoint: CheckpointName, database: AppDatabase, response: Response
) -> CheckpointOut:
    """A checkpoint with its `ETag`, and with what a worker found when it read the files."""
    with database.unit_of_work() as session:
        found = service.find_model(session, model)
        row, parent = service.find_checkpoint_with_parent(session, found, checkpoint)
        evaluations = newest_ids(session, [row.id]).get(row.id, [])
    response.headers["ETag"] = etag(row.version)
    return _present(model, row, parent, evaluations)


@router.patch("/{checkpoint}")
def mark_checkpoint(
    model: ModelName,
    checkpoint: CheckpointName,
    body: CheckpointPatch,
    database: AppDatabase,
    response: Response,
    if_match: IfMatch = None,
) -> CheckpointOut:
    """Mark a checkpoint benign, or lift the mark; `If-Match` is required.

    All else of a checkpoint is immutable. Evaluations that are accepted keep what they measured;
    POST /v1/evaluations measures again with the new mark.
    """
    with database.unit_of_work() as session:
        found = service.find_model(session, model)
        row, parent = service.mark_checkpoint(session, found, checkpoint, body, if_match)
        evaluations = newest_ids(session, [row.id]).get(row.id, [])
    response.headers["ETag"] = etag(row.version)
    return _present(model, row, parent, evaluations)


def _present(
    model: str,
    checkpoint: Checkpoint,
    parent: str | None,
    evaluations: Sequence[UUID],
    skipped: Sequence[SkippedMonitor] = (),
) -> CheckpointOut:
    here = f"/v1/models/{model}/checkpoints/{checkpoint.name}"
    return CheckpointOut(
        id=checkpoint.id,
        model=model,
        name=checkpoint.name,
        source=checkpoint.source,
        revision=checkpoint.revision,
        parent=parent,
        benign=checkpoint.benign,
        benign_at=checkpoint.benign_at,
        benign_note=checkpoint.benign_note,
        version=checkpoint.version,
        note=checkpoint.note,
        registered_digest=checkpoint.registered_digest,
        resolved_at=checkpoint.resolved_at,
        resolved_revision=checkpoint.resolved_revision,
        weights_digest=checkpoint.weights_digest,
        config_digest=checkpoint.config_digest,
        tokenizer_digest=checkpoint.tokenizer_digest,
        properties=checkpoint.properties,
        created_at=checkpoint.created_at,
        evaluations=list(evaluations),
        skipped=list(skipped),
        links={
            "self": here,
            "gate": f"{here}/gate",
            "evaluations": f"/v1/evaluations?model={model}&checkpoint={checkpoint.name}",
        },
    )
