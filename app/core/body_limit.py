"""A limit on request bodies, enforced while they stream in."""

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.problems import plain_problem, problem_response


class BodyLimit:
    """Refuse a body over `limit` bytes: at once when its length is declared, else on the way.

    Starlette's own limiter answers in plain text; ours answers with a problem document.
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application on a body that is counted as it is read."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        detail = f"the body is over the limit of {self._limit} bytes (FEATUREDRIFT_MAX_BODY_BYTES)"
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared) > self._limit:
            response = problem_response(
                Request(scope),
                plain_problem(413, "body_too_large", detail),
                {"Connection": "close"},
            )
            await response(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._limit:
                raise HTTPException(413, detail, {"Connection": "close"})
            return message

        await self._app(scope, counted, send)
