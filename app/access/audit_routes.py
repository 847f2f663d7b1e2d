"""/v1/audit-events: read only; events are made by what they tell of."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from app.access import audit
from app.access.audit_schemas import AuditEventOut
from app.core.dependencies import AppDatabase
from app.core.paging import Cursor, Limit, decode_cursor, make_page
from app.core.problems import PROBLEM_RESPONSES
from app.core.schemas import Page, StorableText

router = APIRouter(prefix="/audit-events", tags=["audit"], responses=PROBLEM_RESPONSES)

_Filter = Annotated[StorableText | None, Query(max_length=200)]


@router.get("")
def list_audit_events(
    database: AppDatabase,
    actor: _Filter = None,
    action: _Filter = None,
    subject_kind: _Filter = None,
    subject_id: _Filter = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[AuditEventOut]:
    """Decisions of people and programs, newest first; they are never changed or removed."""
    after = decode_cursor(cursor, UUID)
    with database.unit_of_work() as session:
        rows = audit.list_events(
            session,
            actor=actor,
            action=action,
            subject_kind=subject_kind,
            subject_id=subject_id,
            after=after,
            limit=limit,
        )
    page, following = make_page(rows, limit, lambda event: event.id)
    return Page(items=[AuditEventOut.model_validate(row) for row in page], next_cursor=following)
