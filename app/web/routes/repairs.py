"""/repairs: proposed next versions of a feature set, with their evidence; a person decides."""

import json
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import RedirectResponse, Response

from app.access.principals import Principal
from app.core.artifacts import ArtifactStore
from app.core.database import Database
from app.core.dependencies import AppArtifacts, AppDatabase
from app.core.errors import ConflictError, InvalidInputError
from app.core.paging import Cursor, Limit, decode_cursor, make_page
from app.core.schemas import StorableText
from app.repairs import repository, service
from app.repairs.schemas import Decision, RepairChange
from app.reports.definitions import describe
from app.reports.estimates import held_out_lines
from app.web.csrf import CheckedForm
from app.web.forms import NOTE_LIMIT, checked, text_of
from app.web.headers import COMMON
from app.web.rendering import page, page_links
from app.web.session import PagePrincipal, PageSession

router = APIRouter(prefix="/repairs", include_in_schema=False)

CHANGES = 100
_Words = Literal["accepted", "rejected"]


@router.get("")
def list_repairs(
    request: Request,
    session: PageSession,
    state: Literal["", "proposed", "accepted", "rejected"] = "",
    monitor: Annotated[StorableText, Query(max_length=200)] = "",
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """Repairs, newest first."""
    name = monitor.strip()
    rows = repository.list_views(
        session,
        monitor=name or None,
        evaluation=None,
        state=state or None,
        after=decode_cursor(cursor, UUID),
        limit=limit,
    )
    views, following = make_page(rows, limit, lambda view: view.repair.id)
    return page(
        request,
        "repairs.html.j2",
        title="Repairs",
        repairs=[service.present(view) for view in views],
        wanted={"state": state, "monitor": name},
        filtered=bool(state or name),
        **page_links(request, cursor, following),
    )


@router.get("/{repair}")
def show_repair(
    request: Request,
    session: PageSession,
    principal: PagePrincipal,
    repair: UUID,
    done: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """A proposal: each feature before and after, and what the new one measures."""
    return _shown(request, session, principal, repair, done=done)


@router.post("/{repair}/accept")
def accept_repair(
    request: Request,
    database: AppDatabase,
    artifacts: AppArtifacts,
    principal: PagePrincipal,
    form: CheckedForm,
    repair: UUID,
) -> Response:
    """Publish the proposed version; sent twice, it is published once."""
    return _decide(request, database, principal, text_of(form, "note"), repair, artifacts)


@router.post("/{repair}/reject")
def reject_repair(
    request: Request,
    database: AppDatabase,
    principal: PagePrincipal,
    form: CheckedForm,
    repair: UUID,
) -> Response:
    """Turn a proposal down; sent twice, it is turned down once."""
    return _decide(request, database, principal, text_of(form, "note"), repair, None)


def _decide(
    request: Request,
    database: Database,
    principal: Principal,
    note: str,
    repair: UUID,
    artifacts: ArtifactStore | None,
) -> Response:
    """Do as the API's routes do; a fault is told above the form.

    Args:
        artifacts: where an accepted repair's dictionaries are; None to reject.
    """
    word: _Words = "rejected" if artifacts is None else "accepted"
    decision, fault = checked(Decision, by=principal.name, note=note or None)
    status = 422
    if decision is not None and not note:
        decision, fault = None, "Give a reason: who reads the audit trail later will want to know."
    if decision is not None:
        try:
            if artifacts is not None:
                with database.unit_of_work() as session:
                    view = service.find_view(session, repair)
                service.require_artifacts(artifacts, view)
            with database.unit_of_work() as session:
                if artifacts is not None:
                    service.accept(session, repair, decision)
                else:
                    service.reject(session, repair, decision)
        except (ConflictError, InvalidInputError) as error:
            status, fault = error.status, f"{error.detail[0].upper()}{error.detail[1:]}."
        else:
            address = f"/repairs/{repair}?done={word}"
            return RedirectResponse(address, 303, headers={**COMMON, "Cache-Control": "no-store"})
    with database.unit_of_work() as session:
        return _shown(request, session, principal, repair, fault=fault, note=note, status=status)


def _shown(
    request: Request,
    session: Session,
    principal: Principal,
    repair_id: UUID,
    *,
    done: str = "",
    fault: str = "",
    note: str = "",
    status: int = 200,
) -> Response:
    repair = service.present_whole(session, service.find_view(session, repair_id))
    return page(
        request,
        "repair.html.j2",
        title=f"Repair for {repair.monitor}",
        status=status,
        repair=repair,
        changes=[_change(change) for change in repair.changes[:CHANGES]],
        more_changes=max(0, len(repair.changes) - CHANGES),
        may_decide="write" in principal.scopes and repair.state == "proposed",
        done=repair.state if done == repair.state else "",
        fault=fault,
        note=note,
        note_limit=NOTE_LIMIT,
    )


def _change(change: RepairChange) -> dict[str, Any]:
    held_out = change.evidence.get("held_out")
    held_out = held_out if isinstance(held_out, dict) else {}
    return {
        "feature": change.feature,
        "diagnosis": change.diagnosis,
        "reason": change.reason,
        "old": describe(change.old),
        "new": describe(change.new),
        "documents": held_out.get("documents"),
        "held_out": held_out_lines(held_out.get("estimates") or {}),
        "evidence": json.dumps(change.evidence, ensure_ascii=False, indent=2),
    }
