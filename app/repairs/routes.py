"""/v1/repairs: proposals to read, accept or reject."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from sqlalchemy.orm import Session

from app.access.routes import Post
from app.access.service import Answer
from app.core.dependencies import AppArtifacts, AppDatabase
from app.core.paging import Cursor, Limit, decode_cursor, make_page
from app.core.problems import PROBLEM_RESPONSES
from app.core.schemas import Page
from app.registry.definitions import NAME_PATTERN
from app.repairs import repository, service
from app.repairs.schemas import Decision, RepairDecision, RepairOut, RepairSummary, State

router = APIRouter(prefix="/repairs", tags=["repairs"], responses=PROBLEM_RESPONSES)


@router.get("")
def list_repairs(
    database: AppDatabase,
    monitor: Annotated[str | None, Query(pattern=NAME_PATTERN)] = None,
    evaluation: UUID | None = None,
    state: State | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[RepairSummary]:
    """Repairs without definitions and evidence, newest first."""
    after = decode_cursor(cursor, UUID)
    with database.unit_of_work() as session:
        rows = repository.list_views(
            session,
            monitor=monitor,
            evaluation=evaluation,
            state=state,
            after=after,
            limit=limit,
        )
    views, following = make_page(rows, limit, lambda view: view.repair.id)
    return Page(items=[service.present(view) for view in views], next_cursor=following)


@router.get("/{repair}")
def get_repair(repair: UUID, database: AppDatabase) -> RepairOut:
    """A repair with its evidence and the whole proposed feature list."""
    with database.unit_of_work() as session:
        return service.present_whole(session, service.find_view(session, repair))


@router.post("/{repair}:accept", response_model=RepairDecision)
def accept_repair(
    repair: UUID, body: Decision, database: AppDatabase, artifacts: AppArtifacts, post: Post
) -> Response:
    """Publish the proposed version. No monitor watches it before it is changed to do so."""
    if (replayed := post.replay()) is not None:
        return replayed
    with database.unit_of_work() as session:
        view = service.find_view(session, repair)
    service.require_artifacts(artifacts, view)

    def work(session: Session) -> Answer:
        service.accept(session, repair, body)
        return _answer(session, repair)

    return post.answer(work)


@router.post("/{repair}:reject", response_model=RepairDecision)
def reject_repair(repair: UUID, body: Decision, post: Post) -> Response:
    """Turn a proposal down; it stays as a record."""

    def work(session: Session) -> Answer:
        service.reject(session, repair, body)
        return _answer(session, repair)

    return post.answer(work)


def _answer(session: Session, repair: UUID) -> Answer:
    session.flush()
    view = service.find_view(session, repair)
    return Answer(200, service.present_decision(session, view))
