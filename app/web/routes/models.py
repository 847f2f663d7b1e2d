"""/models: the lines of checkpoints that are watched."""

from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.core.paging import Cursor, Limit, decode_cursor, make_page
from app.registry.repository import models as repository
from app.web.rendering import page, page_links
from app.web.session import PageSession

router = APIRouter(prefix="/models", include_in_schema=False)


@router.get("")
def list_models(
    request: Request, session: PageSession, cursor: Cursor = None, limit: Limit = 50
) -> Response:
    """Models, newest first."""
    rows = repository.list_models(session, decode_cursor(cursor, UUID), limit)
    models, following = make_page(rows, limit, lambda model: model.id)
    return page(
        request,
        "models.html.j2",
        title="Models",
        models=models,
        **page_links(request, cursor, following),
    )
