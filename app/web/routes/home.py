"""The first page: the state of all models."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.registry.repository import models as repository
from app.web.rendering import page
from app.web.session import PageSession

router = APIRouter(include_in_schema=False)


@router.get("/")
def show_home(request: Request, session: PageSession) -> Response:
    """How every model stands."""
    models = repository.list_models(session, None, 50)
    return page(request, "home.html.j2", title="Overview", models=models)
