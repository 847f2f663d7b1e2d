"""/audit: who decided what, and when."""

import json
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from app.access import audit
from app.access.audit_tables import AuditEvent
from app.core.paging import Cursor, Limit, decode_cursor, make_page
from app.core.schemas import StorableText
from app.web.rendering import page, page_links
from app.web.session import PageSession

router = APIRouter(prefix="/audit", include_in_schema=False)

_Filter = Annotated[StorableText, Query(max_length=200)]
_PAGES = {"alert": "/alerts", "repair": "/repairs", "evaluation": "/evaluations"}


@router.get("")
def list_events(
    request: Request,
    session: PageSession,
    actor: _Filter = "",
    action: _Filter = "",
    subject_kind: _Filter = "",
    subject_id: _Filter = "",
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """Decisions of people and programs, newest first."""
    wanted = {
        "actor": actor.strip(),
        "action": action.strip(),
        "subject_kind": subject_kind.strip(),
        "subject_id": subject_id.strip(),
    }
    rows = audit.list_events(
        session,
        **{name: value or None for name, value in wanted.items()},
        after=decode_cursor(cursor, UUID),
        limit=limit,
    )
    events, following = make_page(rows, limit, lambda event: event.id)
    return page(
        request,
        "audit.html.j2",
        title="Audit trail",
        events=[(event, _address(event), _detail(event)) for event in events],
        wanted=wanted,
        filtered=any(wanted.values()),
        **page_links(request, cursor, following),
    )


def _address(event: AuditEvent) -> str | None:
    """The page of what an event is about, if it is one that has an id of its own."""
    folder = _PAGES.get(event.subject_kind)
    return f"{folder}/{event.subject_id}" if folder is not None else None


def _detail(event: AuditEvent) -> list[tuple[str, str]]:
    """What was noted, in the order of names; nested values as JSON."""
    return [
        (name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
        for name, value in sorted(event.detail.items())
        if value not in (None, "", [], {})
    ]
