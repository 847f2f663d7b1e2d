"""/v1/alerts: to read and to acknowledge; evaluations open and resolve them."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from sqlalchemy.orm import Session

from app.access.routes import Post
from app.access.service import Answer
from app.alerts import repository, service
from app.alerts.presentation import present
from app.alerts.schemas import Acknowledgement, AlertOut, Severity, State, SubjectKind
from app.core.dependencies import AppDatabase
from app.core.paging import Cursor, Limit, decode_cursor, make_page
from app.core.problems import PROBLEM_RESPONSES
from app.core.schemas import Page, StorableText
from app.registry.definitions import NAME_PATTERN

router = APIRouter(prefix="/alerts", tags=["alerts"], responses=PROBLEM_RESPONSES)

_Name = Annotated[str | None, Query(pattern=NAME_PATTERN)]


@router.get("")
def list_alerts(
    database: AppDatabase,
    model: _Name = None,
    monitor: _Name = None,
    state: Annotated[list[State] | None, Query(description="Several: any of them")] = None,
    subject_kind: SubjectKind | None = None,
    subject: Annotated[StorableText | None, Query(max_length=200)] = None,
    severity: Severity | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[AlertOut]:
    """Alerts, newest first. What needs somebody now is `?state=open&severity=page`."""
    after = decode_cursor(cursor, UUID)
    with database.unit_of_work() as session:
        rows = repository.list_views(
            session,
            model=model,
            monitor=monitor,
            state=state or (),
            subject_kind=subject_kind,
            severity=severity,
            subject=subject,
            after=after,
            limit=limit,
        )
    views, following = make_page(rows, limit, lambda view: view.alert.id)
    return Page(items=[present(view) for view in views], next_cursor=following)


@router.get("/{alert}")
def get_alert(alert: UUID, database: AppDatabase) -> AlertOut:
    """An alert, with links to its evaluation, verdict, history, repair and runbook."""
    with database.unit_of_work() as session:
        return present(service.find_view(session, alert))


@router.post("/{alert}:acknowledge", response_model=AlertOut)
def acknowledge_alert(alert: UUID, body: Acknowledgement, post: Post) -> Response:
    """Say who looks after it. It stays so while the condition lasts; a worse one opens it again."""

    def work(session: Session) -> Answer:
        service.acknowledge(session, alert, body)
        session.flush()
        return Answer(200, present(service.find_view(session, alert)))

    return post.answer(work)
