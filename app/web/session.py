"""Who looks at a page, and the database as far as it exists for them."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.access import sessions
from app.access.authentication import Authenticator, current_principal
from app.access.principals import Principal
from app.core.database import Database
from app.core.dependencies import AppDatabase
from app.core.problems import UNREACHABLE
from app.settings import LONGEST_SESSION, Settings
from app.web.addresses import is_secure
from app.web.signing import Signer

PURPOSE = "signed-in"
_COOKIE = "featuredrift_session"


@dataclass(frozen=True)
class Kept:
    """What a session's cookie holds.

    Attributes:
        identity: the session's id.
    """

    identity: UUID
    key_id: UUID
    signed_in_at: datetime


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
        kept = _read(self._signer, cookie, lifetime)
        if kept is None:
            return None
        return self._authenticator.principal_of_session(
            kept.identity, kept.key_id, kept.signed_in_at
        )


def may_be_page(path: str) -> bool:
    """Whether a path is one of the pages', as far as the path tells."""
    return not path.startswith(("/v1/", "/static/")) and path not in {
        *("/v1", "/metrics", "/healthz", "/readyz", "/openapi.json"),
    }


def begin(request: Request, response: Response, principal: Principal, key_id: UUID) -> None:
    """Let a browser be signed in with a key from now on."""
    settings: Settings = request.app.state.settings
    with _on_behalf_of(request, principal) as session:
        identity = sessions.begin(session, principal)
    value = request.app.state.signer.sign(PURPOSE, [str(identity), str(key_id)])
    set_cookie(request, response, _COOKIE, value, max_age=int(settings.session_lifetime))


def end(request: Request, response: Response, principal: Principal) -> None:
    """End a browser's session here, for every copy of its cookie, and take the cookie away."""
    cookie = read_cookie(request, _COOKIE)
    kept = _read(request.app.state.signer, cookie, LONGEST_SESSION) if cookie else None
    if kept is not None:
        # As long as the setting may ever let its cookie be good.
        until = kept.signed_in_at + timedelta(seconds=LONGEST_SESSION)
        with _on_behalf_of(request, principal) as session:
            sessions.end(session, principal, kept.identity, until)
    forget(request, response)


def forget(request: Request, response: Response) -> None:
    """Have a browser keep no cookie of a session."""
    set_cookie(request, response, _COOKIE, "", max_age=0)


def has_cookie(request: Request) -> bool:
    """Whether a browser has a cookie of a session, be it good or not."""
    return read_cookie(request, _COOKIE) is not None


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


def _read(signer: Signer, cookie: str, lifetime: float) -> Kept | None:
    found = signer.read(PURPOSE, cookie, lifetime)
    if found is None:
        return None
    (identity, key_id), signed_in_at = found
    return Kept(UUID(identity), UUID(key_id), signed_in_at)


def _on_behalf_of(request: Request, principal: Principal) -> AbstractContextManager[Session]:
    database: Database = request.app.state.database
    return database.on_behalf_of(principal).unit_of_work()


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
    "forget",
    "has_cookie",
    "may_be_page",
    "read_cookie",
    "set_cookie",
]
