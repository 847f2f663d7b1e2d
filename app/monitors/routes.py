"""/v1/monitors."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from sqlalchemy.orm import Session

from app.access.routes import Post
from app.access.service import Answer
from app.core.dependencies import AppDatabase
from app.core.etags import etag
from app.core.paging import Cursor, Limit, decode_cursor, make_page
from app.core.preconditions import IfMatch
from app.core.problems import PROBLEM_RESPONSES
from app.core.schemas import Page
from app.monitors import repository, service
from app.monitors.schemas import MonitorCreate, MonitorOut, MonitorPatch
from app.registry.definitions import NAME_PATTERN
from app.registry.paths import MonitorName

router = APIRouter(prefix="/monitors", tags=["monitors"], responses=PROBLEM_RESPONSES)


@router.post("", status_code=201, response_model=MonitorOut, responses={200: {"model": MonitorOut}})
def create_monitor(body: MonitorCreate, post: Post) -> Response:
    """Watch a model: each checkpoint registered from now on is evaluated by this monitor."""

    def work(session: Session) -> Answer:
        view, created = service.create(session, body)
        (out,) = service.present(session, [view])
        headers = {"Location": f"/v1/monitors/{out.name}", "ETag": etag(out.version)}
        return Answer(201 if created else 200, out, headers)

    return post.answer(work)


@router.get("")
def list_monitors(
    database: AppDatabase,
    model: Annotated[str | None, Query(pattern=NAME_PATTERN)] = None,
    enabled: bool | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[MonitorOut]:
    """Monitors, newest first."""
    after = decode_cursor(cursor, UUID)
    with database.unit_of_work() as session:
        rows = repository.list_monitors(
            session, model=model, enabled=enabled, after=after, limit=limit
        )
        views, following = make_page(rows, limit, lambda view: view.monitor.id)
        return Page(items=service.present(session, views), next_cursor=following)


@router.get("/{monitor}")
def get_monitor(monitor: MonitorName, database: AppDatabase, response: Response) -> MonitorOut:
    """A monitor, with its `ETag`."""
    with database.unit_of_work() as session:
        (out,) = service.present(session, [service.find_monitor(session, monitor)])
    response.headers["ETag"] = etag(out.version)
    return out


@router.patch("/{monitor}")
def change_monitor(
    monitor: MonitorName,
    body: MonitorPatch,
    database: AppDatabase,
    response: Response,
    if_match: IfMatch = None,
) -> MonitorOut:
    """Change a monitor; `If-Match` is required. Accepted evaluations keep what they had."""
    with database.unit_of_work() as session:
        view = service.change(session, monitor, body, if_match)
        (out,) = service.present(session, [view])
    response.headers["ETag"] = etag(out.version)
    return out
