"""/docs: the API's own documentation, by Swagger UI, from files of this service alone."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.web.rendering import page

router = APIRouter(include_in_schema=False)


@router.get("/docs")
def show_api_docs(request: Request) -> Response:
    """What the API takes and answers, to read and to try out."""
    return page(request, "docs.html.j2", title="REST API")
