"""Limits on request bodies, of size and of time, enforced while they stream in."""

import asyncio

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.problems import plain_problem, problem_response

PLAIN_BYTES = 1 << 20
"""What a body may have where nothing large is sent: parsed JSON takes tens of times its bytes."""
_LARGE = {"/v1/corpora": 4_000_000, "/v1/feature-sets": 500_000}
"""Where bodies may be large, and of how many lists, objects and keys at most: an empty list takes
three bytes to send and hundreds to hold, to look through and to complain about, so that bytes alone
bound no memory. Brackets and colons are counted wherever they stand, also in texts."""
_MARKS = (b"[", b"{", b":")


class BodyLimit:
    """Refuse a body over `limit` bytes: at once when its length is declared, else on the way.

    Only corpora and feature sets may be as large as that; all else has at most `PLAIN_BYTES`.
    One large body at a time is worked on, others wait: parsed and looked through, one of 64 MiB may
    take over a gigabyte.
    Starlette's own limiter answers in plain text; ours answers with a problem document.

    Args:
        seconds: in which a whole body must have arrived.
    """

    def __init__(self, app: ASGIApp, limit: int, seconds: float) -> None:
        self._app = app
        self._limit = limit
        self._seconds = seconds
        self._turn = asyncio.Semaphore(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application on a body that is counted as it is read."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit, name = self._limit, "FEATUREDRIFT_MAX_BODY_BYTES"
        if scope["path"] not in _LARGE and limit > PLAIN_BYTES:
            limit, name = PLAIN_BYTES, "larger are taken at " + " and ".join(sorted(_LARGE))
        detail = f"the body is over the limit of {limit} bytes ({name})"
        most = _LARGE.get(scope["path"], limit)
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared) > limit:
            response = problem_response(
                Request(scope),
                plain_problem(413, "body_too_large", detail),
                {"Connection": "close"},
            )
            await response(scope, receive, send)
            return
        received, parts, whole, our_turn = 0, 0, False, False
        deadline = asyncio.get_running_loop().time() + self._seconds

        async def counted() -> Message:
            nonlocal received, parts, whole, our_turn
            if whole:
                # What comes now is that the client is gone, whenever that may be.
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(
                    408,
                    f"the body did not arrive within {self._seconds:g} s "
                    "(FEATUREDRIFT_BODY_TIMEOUT)",
                    {"Connection": "close"},
                ) from None
            piece = message.get("body", b"")
            received += len(piece)
            parts += sum(map(piece.count, _MARKS))
            whole = not message.get("more_body", False)
            if received > limit:
                raise HTTPException(413, detail, {"Connection": "close"})
            if parts > most:
                raise HTTPException(
                    413,
                    f"the body has over {most} lists, objects and keys; send it in several parts",
                    {"Connection": "close"},
                )
            if whole and received > PLAIN_BYTES:
                our_turn = await self._turn.acquire()
            return message

        try:
            await self._app(scope, counted, send)
        finally:
            if our_turn:
                self._turn.release()
