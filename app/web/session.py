"""Who looks at a page, and the database as far as it exists for them."""

from collections.abc import Iterator
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.access.authentication import Authenticator, current_principal
from app.access.principals import Principal
from app.core.dependencies import AppDatabase
from app.core.problems import UNREACHABLE
from app.settings import Settings
from app.web.addresses import is_secure
from app.web.signing import Signer

PURPOSE = "session"
_COOKIE = "featuredrift_session"


class SignedIn:
    """The layer that turns a session's cookie into the request's principal, on pages alone.

    The API never looks at cookies: what a browser sends along unasked can do nothing there.
    """

    def __init__(self, app: ASGIApp, authenticator: Authenticator, signer: Signer) -> None:
        self._app = app
        self._authenticator = authenticator
        self._signer = signer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application on a request whose sender is known, if they have signed in."""
        if scope["type"] == "http" and may_be_page(scope["path"]):
            state = scope.setdefault("state", {})
            request = Request(scope)
            if state.get("principal") is None and (cookie := read_cookie(request, _COOKIE)):
                try:
                    state["principal"] = await run_in_threadpool(
                        self._principal, cookie, request.app.state.settings.session_lifetime
                    )
                except UNREACHABLE as error:
                    # The handlers of errors stand further in; the error is theirs to show.
                    state["unreachable"] = error
        await self._app(scope, receive, send)

    def _principal(self, cookie: str, lifetime: float) -> Principal | None:
        found = self._signer.read(PURPOSE, cookie, lifetime)
        if found is None:
            return None
        value, signed_in_at = found
        return self._authenticator.principal_of_id(UUID(value), signed_in_at)


def may_be_page(path: str) -> bool:
    """Whether a path is one of the pages', as far as the path tells."""
    return not path.startswith(("/v1/", "/static/")) and path not in {
        *("/v1", "/metrics", "/healthz", "/readyz", "/openapi.json", "/docs"),
    }


def begin(request: Request, response: Response, key_id: UUID) -> None:
    """Let a browser be signed in with a key from now on."""
    settings: Settings = request.app.state.settings
    value = request.app.state.signer.sign(PURPOSE, str(key_id))
    set_cookie(request, response, _COOKIE, value, max_age=int(settings.session_lifetime))


def end(request: Request, response: Response) -> None:
    """Let a browser be signed in no longer."""
    set_cookie(request, response, _COOKIE, "", max_age=0)


def read_cookie(request: Request, name: str) -> str | None:
    """The value of a cookie of ours."""
    return request.cookies.get(_full_name(request, name))


def set_cookie(
    request: Request,
    response: Response,
    name: str,
    value: str,
    *,
    max_age: int | None = None,
) -> None:
    """Have a browser keep a cookie that scripts cannot read and other sites cannot send along.

    `lax` lets a link in a message lead a person who is signed in to the page it names.
    """
    response.set_cookie(
        _full_name(request, name),
        value,
        max_age=max_age,
        path="/",
        secure=is_secure(request),
        httponly=True,
        samesite="lax",
    )


def _full_name(request: Request, name: str) -> str:
    # With this prefix no other host of the same domain can set it.
    return f"__Host-{name}" if is_secure(request) else name


def _session(database: AppDatabase) -> Iterator[Session]:
    with database.unit_of_work() as session:
        # Looking at a page changes nothing, whatever its code comes to call.
        session.connection(execution_options={"postgresql_readonly": True})
        yield session


PagePrincipal = Annotated[Principal, Depends(current_principal)]
"""Who has signed in; `local` where no key is needed. Without, the route's rule has led away."""

PageSession = Annotated[Session, Depends(_session)]
"""A transaction that reads what exists for the principal, and can change nothing."""

__all__ = [
    "PagePrincipal",
    "PageSession",
    "SignedIn",
    "begin",
    "end",
    "may_be_page",
    "read_cookie",
    "set_cookie",
]
