"""/runbooks: what to do about an alert, for whoever was woken; alerts link here."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse

from app.core.errors import NotFoundError
from app.core.problems import PROBLEM_RESPONSES
from app.runbooks.rendering import CONTENT_SECURITY_POLICY, INDEX, render, sources
from app.settings import Settings

_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            "text/html": {
                "schema": {"type": "string"},
                "example": "<!doctype html><title>FeatureDrifted</title>…",
            }
        }
    }
}

router = APIRouter(prefix="/runbooks", tags=["runbooks"], responses=PROBLEM_RESPONSES)


@router.get("/", response_class=HTMLResponse, responses=_ANSWERS)
async def list_runbooks(request: Request) -> HTMLResponse:
    """One line for each alert, with links to the pages."""
    return _page(INDEX, request)


@router.get("/{alert}", response_class=HTMLResponse, responses=_ANSWERS)
async def get_runbook(
    alert: Annotated[str, Path(max_length=100, examples=["FeatureDrifted"])], request: Request
) -> HTMLResponse:
    """What the alert means, what to look at, what to do; `.md` may follow the name."""
    name = alert.removesuffix(".md")
    if name not in sources():
        raise NotFoundError(
            f"there is no runbook {name!r}; GET /runbooks/ lists them",
            code="unknown_runbook",
            field="alert",
            value=alert,
        )
    return _page(name, request)


def _page(name: str, request: Request) -> HTMLResponse:
    settings: Settings = request.app.state.settings
    return HTMLResponse(
        render(name, settings.public_url),
        headers={
            "Content-Security-Policy": CONTENT_SECURITY_POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        },
    )
