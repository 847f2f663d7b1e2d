"""/sign-in and /sign-out: an API key, once, for a session that bears its id."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from app.access.authentication import AuthenticationError, Authenticator, TooManyAttemptsError
from app.access.principals import Principal
from app.web import session
from app.web.addresses import own_path
from app.web.csrf import CheckedForm
from app.web.headers import COMMON
from app.web.rendering import page

router = APIRouter(include_in_schema=False)


@router.get("/sign-in")
def show_sign_in(request: Request, next: Annotated[str, Query()] = "/") -> Response:
    """The form that takes a key."""
    target = own_path(next)
    if getattr(request.state, "principal", None) is not None:
        return _to(target)
    return _form(request, target)


@router.post("/sign-in")
def sign_in(request: Request, form: CheckedForm) -> Response:
    """Check a key through the API's own door, and begin a session of it."""
    authenticator: Authenticator = request.app.state.authenticator
    target = own_path(_text(form.get("next")))
    if not authenticator.required:
        return _to(target)
    key = _text(form.get("key")).strip()
    if not key:
        return _form(request, target, "Give a key: it begins with fd_.", status=422)
    address = request.client.host if request.client else ""
    try:
        principal = authenticator.authenticate(f"Bearer {key}", address)
    except TooManyAttemptsError as error:
        wait = error.headers["Retry-After"]
        response = _form(
            request, target, f"Too many keys did not work. Wait {wait} seconds.", status=429
        )
        response.headers["Retry-After"] = wait
        return response
    except AuthenticationError as error:
        return _form(request, target, _WHY.get(error.code, error.detail), status=401)
    if (refused := _why_not(principal)) is not None:
        return _form(request, target, refused, status=403)
    response = _to(target)
    assert principal.key_id is not None  # noqa: S101 - refused above
    session.begin(request, response, principal, principal.key_id)
    return response


@router.post("/sign-out")
def sign_out(request: Request, _form: CheckedForm, principal: session.PagePrincipal) -> Response:
    """End the browser's session, and every copy of it."""
    response = _to("/sign-in")
    session.end(request, response, principal)
    return response


_WHY = {
    "malformed_api_key": "This is no whole key: it was cut off or mistyped. Copy all of it, from "
    "fd_ to its end.",
    "unknown_api_key": "Nobody has this key here. It may be of another deployment, or a rotation "
    "has replaced it.",
}


def _why_not(principal: Principal) -> str | None:
    if principal.key_id is None:
        return (
            f"The {principal.name} key of the server's settings opens no session. Make a key with "
            "featuredrift keys create, and sign in with that."
        )
    if "read" not in principal.scopes:
        return "This key is for metrics alone. Sign in with one that has the scope read or more."
    return None


def _form(request: Request, target: str, fault: str = "", *, status: int = 200) -> Response:
    return page(
        request, "sign_in.html.j2", title="Sign in", status=status, target=target, fault=fault
    )


def _to(target: str) -> Response:
    return RedirectResponse(target, 303, headers={**COMMON, "Cache-Control": "no-store"})


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
