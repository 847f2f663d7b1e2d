"""/v1/evaluations."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from sqlalchemy.orm import Session

from app.access.routes import Post
from app.access.service import Answer
from app.core.dependencies import AppDatabase, AppSettings, AppWaiting
from app.core.paging import Cursor, Limit, decode_cursor, make_page
from app.core.problems import PROBLEM_RESPONSES
from app.core.references import referred_to_by
from app.core.schemas import Page
from app.core.waiting import Wait
from app.evaluations import ledger, repository, service
from app.evaluations.admission import admit
from app.evaluations.schemas import EvaluationCreate, EvaluationOut, State
from app.monitors.service import find_monitor
from app.registry.definitions import NAME_PATTERN
from app.registry.service.models import find_checkpoint, find_model

router = APIRouter(prefix="/evaluations", tags=["evaluations"], responses=PROBLEM_RESPONSES)

NameFilter = Annotated[str | None, Query(pattern=NAME_PATTERN)]


@router.post(
    "", status_code=202, response_model=EvaluationOut, responses={200: {"model": EvaluationOut}}
)
def start_evaluation(body: EvaluationCreate, settings: AppSettings, post: Post) -> Response:
    """Evaluate a checkpoint with a monitor now. The same inputs have one evaluation, ever."""

    def work(session: Session) -> Answer:
        with referred_to_by("monitor"):
            monitor = find_monitor(session, body.monitor)
        model = find_model(session, monitor.model)
        with referred_to_by("checkpoint"):
            checkpoint = find_checkpoint(session, model, body.checkpoint)
        evaluation_id, created = service.start(session, model, monitor.monitor, checkpoint)
        if created:
            service.record(session, evaluation_id, "requested")
            admit(session, settings.max_queued_evaluations)
        return _answer(session, evaluation_id, 202 if created else 200)

    return post.answer(work)


@router.get("")
def list_evaluations(
    database: AppDatabase,
    model: NameFilter = None,
    checkpoint: NameFilter = None,
    monitor: NameFilter = None,
    state: State | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[EvaluationOut]:
    """Evaluations, newest first."""
    after = decode_cursor(cursor, UUID)
    with database.unit_of_work() as session:
        rows = repository.list_views(
            session,
            model=model,
            checkpoint=checkpoint,
            monitor=monitor,
            state=state,
            after=after,
            limit=limit,
        )
        views, following = make_page(rows, limit, lambda view: view.evaluation.id)
        return Page(items=[service.present(view) for view in views], next_cursor=following)


@router.get("/{evaluation}")
def get_evaluation(
    evaluation: UUID, database: AppDatabase, waiting: AppWaiting, wait: Wait = None
) -> EvaluationOut:
    """An evaluation; with `wait`, when it is finished or the time is up."""

    def read() -> str:
        with database.unit_of_work() as session:
            return service.find_state(session, evaluation)

    waiting.until(lambda state: state not in ledger.OPEN, read, wait)
    with database.unit_of_work() as session:
        return service.present(service.find_view(session, evaluation))


@router.post("/{evaluation}:cancel", response_model=EvaluationOut)
def cancel_evaluation(evaluation: UUID, post: Post) -> Response:
    """Stop an open evaluation; its unfinished shards are not worked on any more."""

    def work(session: Session) -> Answer:
        service.find_state(session, evaluation)
        ledger.cancel_evaluation(session, evaluation)
        service.record(session, evaluation, "cancelled")
        return _answer(session, evaluation, 200)

    return post.answer(work)


@router.post("/{evaluation}:retry", status_code=202, response_model=EvaluationOut)
def retry_evaluation(evaluation: UUID, settings: AppSettings, post: Post) -> Response:
    """Work again on a failed or cancelled evaluation; finished snapshots are kept."""

    def work(session: Session) -> Answer:
        service.find_state(session, evaluation)
        ledger.retry_evaluation(session, evaluation)
        service.record(session, evaluation, "retried")
        session.flush()
        admit(session, settings.max_queued_evaluations)
        return _answer(session, evaluation, 202)

    return post.answer(work)


def _answer(session: Session, evaluation_id: UUID, status: int) -> Answer:
    session.expire_all()
    out = service.present(service.find_view(session, evaluation_id))
    return Answer(status, out, {"Location": f"/v1/evaluations/{evaluation_id}"})
