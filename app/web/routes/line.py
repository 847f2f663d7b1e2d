"""/models/{model}/monitors/{monitor}: a monitor's line, its features over the checkpoints."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.alerts.repository import AlertView
from app.alerts.repository import list_views as list_alerts
from app.core.errors import NotFoundError
from app.core.paging import Cursor, Limit, decode_cursor, make_page
from app.monitors.service import find_monitor, present
from app.registry.definitions import Name
from app.registry.paths import ModelName, MonitorName
from app.registry.repository.models import get_model
from app.repairs.repository import RepairView
from app.repairs.repository import list_views as list_repairs
from app.verdicts.histories import monitor_history
from app.verdicts.service import gate_of, present_history
from app.verdicts.tables import CONTROLS
from app.web.charts import draw_line
from app.web.rendering import page, page_links
from app.web.repository import controls_of, line_of, newest_checkpoints, points_of
from app.web.session import PageSession
from app.web.standing import VERDICTS

STOPS = 39
"""Checkpoints of the charts: as many as one heat map holds."""
LISTED = 60
TOLD = 10
"""Alerts and repairs; their own pages have the others."""

router = APIRouter(prefix="/models/{model}/monitors", include_in_schema=False)


@router.get("/{monitor}")
def show_line(
    request: Request,
    model: ModelName,
    monitor: MonitorName,
    session: PageSession,
    feature: Annotated[list[Name], Query(max_length=12)] = [],  # noqa: B006 - FastAPI copies
    cursor: Cursor = None,
    limit: Limit = 25,
) -> Response:
    """Drift over checkpoints, features × checkpoints, the gate, the controls, all evaluations."""
    view = find_monitor(session, monitor)
    watched = get_model(session, view.model)
    if view.model != model or watched is None:
        raise NotFoundError(
            f"the model {model!r} has no monitor {monitor!r}; {view.model!r} has",
            code="unknown_monitor",
            field="monitor",
            value=monitor,
        )
    stops = line_of(session, view.monitor.id, STOPS)
    points = points_of(session, [stop.evaluation_id for stop in stops])
    line = draw_line(stops, points, view.monitor.watchlist, feature)
    rows = monitor_history(session, view.monitor.id, decode_cursor(cursor, UUID), limit)
    history, following = make_page(rows, limit, lambda one: one.evaluation.id)
    newest = newest_checkpoints(session, [watched.id]).get(watched.id)
    gate = gate_of(session, watched, newest) if newest is not None else None
    (out,) = present(session, [view])
    return page(
        request,
        "line.html.j2",
        title=monitor,
        monitor=out,
        line=line,
        listed=line.now[:LISTED],
        stops=stops,
        gate=gate,
        reasons_here=[one for one in gate.reasons if one.monitor == monitor] if gate else [],
        standing=next((one for one in gate.monitors if one.monitor == monitor), None)
        if gate
        else None,
        alerts=_unresolved(session, monitor),
        repairs=_proposed(session, monitor),
        history=present_history(session, history),
        controls=controls_of(session, [one.evaluation.id for one in history]),
        control_names=CONTROLS,
        order=VERDICTS,
        **page_links(request, cursor, following),
    )


def _unresolved(session: Session, monitor: str) -> Sequence[AlertView]:
    return list_alerts(
        session,
        model=None,
        monitor=monitor,
        state=("open", "acknowledged"),
        subject_kind=None,
        severity=None,
        subject=None,
        after=None,
        limit=TOLD,
    )[:TOLD]


def _proposed(session: Session, monitor: str) -> Sequence[RepairView]:
    return list_repairs(
        session, monitor=monitor, evaluation=None, state="proposed", after=None, limit=TOLD
    )[:TOLD]
