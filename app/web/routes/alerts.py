"""/alerts: what somebody has to look after, and the form that says who does."""

import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import RedirectResponse, Response

from app.access.principals import Principal
from app.alerts import repository, service
from app.alerts.presentation import present
from app.alerts.schemas import Acknowledgement, AlertOut
from app.core.dependencies import AppDatabase
from app.core.errors import ConflictError
from app.core.paging import Cursor, Limit, decode_cursor, make_page
from app.core.schemas import StorableText
from app.settings import Settings
from app.web.csrf import CheckedForm
from app.web.forms import NOTE_LIMIT, checked, text_of
from app.web.headers import COMMON
from app.web.rendering import page, page_links
from app.web.session import PagePrincipal, PageSession

router = APIRouter(prefix="/alerts", include_in_schema=False)

_Name = Annotated[StorableText, Query(max_length=200)]
_State = Literal["", "unresolved", "any", "open", "acknowledged", "resolved"]
_STATES: dict[str, Sequence[str]] = {"unresolved": ("open", "acknowledged"), "any": ()}


@router.get("")
def list_alerts(
    request: Request,
    session: PageSession,
    state: _State = "unresolved",
    severity: Literal["", "page", "warning"] = "",
    subject_kind: Literal["", "feature", "control", "dictionary", "evaluation"] = "",
    model: _Name = "",
    monitor: _Name = "",
    subject: _Name = "",
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """Alerts, newest first; those that are not resolved unless others are asked for."""
    wanted = {
        "severity": severity,
        "subject_kind": subject_kind,
        "model": model.strip(),
        "monitor": monitor.strip(),
        "subject": subject.strip(),
    }
    chosen = state or "unresolved"
    rows = repository.list_views(
        session,
        **{name: value or None for name, value in wanted.items()},
        state=_STATES.get(chosen, (chosen,)),
        after=decode_cursor(cursor, UUID),
        limit=limit,
    )
    views, following = make_page(rows, limit, lambda view: view.alert.id)
    return page(
        request,
        "alerts.html.j2",
        title="Alerts",
        alerts=[present(view) for view in views],
        wanted={**wanted, "state": chosen},
        filtered=any(wanted.values()) or chosen != "unresolved",
        **page_links(request, cursor, following),
    )


@router.get("/{alert}")
def show_alert(
    request: Request,
    session: PageSession,
    principal: PagePrincipal,
    alert: UUID,
    done: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """An alert with its evidence, and where to go on."""
    return _shown(request, session, principal, alert, done=done == "acknowledged")


@router.post("/{alert}/acknowledge")
def acknowledge_alert(
    request: Request,
    database: AppDatabase,
    principal: PagePrincipal,
    form: CheckedForm,
    alert: UUID,
) -> Response:
    """Say who looks after it. Sent twice, it is said once; what has changed meanwhile is shown."""
    note = text_of(form, "note")
    body, fault = checked(Acknowledgement, by=principal.name, note=note or None)
    status = 422
    if body is not None:
        try:
            with database.unit_of_work() as session:
                _refuse_stale(session, alert, body, text_of(form, "seen"))
                service.acknowledge(session, alert, body)
        except ConflictError as error:
            status, fault = error.status, f"{error.detail[0].upper()}{error.detail[1:]}."
        else:
            address = f"/alerts/{alert}?done=acknowledged"
            return RedirectResponse(address, 303, headers={**COMMON, "Cache-Control": "no-store"})
    with database.unit_of_work() as session:
        return _shown(request, session, principal, alert, fault=fault, note=note, status=status)


def _refuse_stale(session: Session, alert_id: UUID, body: Acknowledgement, seen: str) -> None:
    """Let nobody acknowledge what they have not read.

    Raises:
        ConflictError: the alert is another than the page showed.
    """
    alert = repository.lock_alert(session, alert_id)
    if alert is None or alert.state == "resolved":
        # The service says so itself.
        return
    same = (alert.acknowledged_by, alert.note) == (body.by, body.note)
    if not same and seen != alert.updated_at.isoformat():
        raise ConflictError(
            "the alert has changed since you opened this page; read how it stands now, and send "
            "the form again",
            code="alert_changed",
        )


def _shown(
    request: Request,
    session: Session,
    principal: Principal,
    alert_id: UUID,
    *,
    done: bool = False,
    fault: str = "",
    note: str | None = None,
    status: int = 200,
) -> Response:
    view = service.find_view(session, alert_id)
    alert = present(view)
    subject = f"{alert.subject_kind.capitalize()} {alert.subject}".strip()
    return page(
        request,
        "alert.html.j2",
        title=f"{subject}: {alert.condition.replace('_', ' ')}",
        status=status,
        alert=alert,
        seen=alert.updated_at.isoformat(),
        may_acknowledge="write" in principal.scopes and alert.state != "resolved",
        done=done and alert.state == "acknowledged",
        fault=fault,
        note=alert.note or "" if note is None else note,
        note_limit=NOTE_LIMIT,
        evidence=_evidence(alert.evidence),
        runbook=_runbook(request, alert),
    )


def _evidence(evidence: dict[str, Any]) -> str:
    return json.dumps(evidence, ensure_ascii=False, indent=2)


def _runbook(request: Request, alert: AlertOut) -> str:
    """The page here, or the runbook's address where runbooks are kept elsewhere."""
    settings: Settings = request.app.state.settings
    base = settings.runbook_url.rstrip("/")
    own = base == f"{settings.public_url.rstrip('/')}/runbooks"
    return f"{'/runbooks' if own else base}/{alert.links['runbook'].rpartition('/')[2]}"
