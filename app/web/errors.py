"""Errors as pages for people; programs go on getting problem documents."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import RedirectResponse, Response

from app.core.problems import unreachable_response
from app.core.requests import UNMATCHED, route_template
from app.web.addresses import sign_in_path
from app.web.headers import COMMON
from app.web.rendering import page
from app.web.session import forget, has_cookie, may_be_page

_HEADINGS = {
    400: "That request makes no sense here",
    403: "You may not do this",
    404: "There is nothing here",
    405: "This page takes no such request",
    409: "That is not possible now",
    413: "That is too much at once",
    422: "Something in that request is not right",
    429: "Too many attempts",
    500: "Something went wrong here",
    503: "The service does not answer at the moment",
}
_NEXT = {
    403: "A key with more rights may: sign out, and sign in with it.",
    404: "It may have another name, or the key you signed in with does not see it.",
    500: "Try it again. If it stays so, tell whoever runs this service the request's id.",
    503: "Reload the page in a moment; nothing was changed.",
}


def install_page_errors(app: FastAPI, pages: frozenset[str]) -> None:
    """Let each handler of errors answer with a page where a person asked for one.

    Args:
        pages: templates of the pages' routes.
    """
    for kind, handler in list(app.exception_handlers.items()):
        app.exception_handlers[kind] = _shown_to_people(handler, pages)


def _shown_to_people(
    handler: Callable[[Request, Any], Any], pages: frozenset[str]
) -> Callable[[Request, Any], Awaitable[Response]]:
    async def answer(request: Request, error: Any) -> Response:
        made = handler(request, error)
        response: Response = await made if isinstance(made, Awaitable) else made
        if not _is_for_people(request, pages):
            return response
        away = getattr(request.state, "unreachable", None)
        if response.status_code == 401:
            if away is None:
                return _to_sign_in(request)
            response = unreachable_response(request, away)
        return error_page(request, response)

    return answer


def error_page(request: Request, problem: Response) -> Response:
    """The page for a problem document's answer; status and headers stay."""
    document = json.loads(bytes(problem.body))
    status = problem.status_code
    response = page(
        request,
        "error.html.j2",
        title=_HEADINGS.get(status, document["title"]),
        status=status,
        problem=document,
        what_next=_NEXT.get(status, ""),
    )
    for name in ("retry-after", "allow", "connection"):
        if name in problem.headers:
            response.headers[name] = problem.headers[name]
    return response


def _is_for_people(request: Request, pages: frozenset[str]) -> bool:
    template = route_template(request.scope)
    if template in pages:
        return True
    accepts = request.headers.get("accept", "")
    return template == UNMATCHED and may_be_page(request.url.path) and "text/html" in accepts


def _to_sign_in(request: Request) -> Response:
    response = RedirectResponse(
        sign_in_path(request), 303, headers={**COMMON, "Cache-Control": "no-store"}
    )
    if has_cookie(request):
        # Its key works no longer, it was ended elsewhere, or its time is over.
        forget(request, response)
    return response
