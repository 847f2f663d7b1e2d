"""The outermost layer of the API: names each request, logs it, times it, traces it."""

import time
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core import correlation, telemetry
from app.core.correlation import (
    REQUEST_ID_HEADER,
    TRACEPARENT_HEADER,
    Correlation,
    accept_request_id,
    accept_traceparent,
)
from app.core.logging import get_logger
from app.core.request_metrics import RequestMetrics

UNMATCHED = "unmatched"
_CLIENT_GONE = 499
_PROBES = frozenset({"/healthz", "/readyz", "/metrics"})

log = get_logger("app.access_log")


class Requests:
    """One id, one line, one observation and, where traces are on, one span for each request.

    The line names the method, the route's template, the status, and the time: neither path nor
    query, which hold what callers type, and never a body.
    """

    def __init__(self, app: ASGIApp, metrics: RequestMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application on a request that has a name."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = Correlation(
            accept_request_id(headers.get(REQUEST_ID_HEADER)),
            accept_traceparent(headers.get(TRACEPARENT_HEADER)),
        )
        method = scope["method"]
        # Nothing is unbound at the end: a server that logs an error afterwards has the names too.
        with (
            self._metrics.in_progress(),
            telemetry.span(
                method,
                kind="server",
                parent=given.traceparent,
                http__request__method=method,
                featuredrift__request_id=given.request_id,
            ) as span,
        ):
            known = Correlation(given.request_id, span.traceparent or given.traceparent)
            correlation.begin(known)
            await self._answer(scope, receive, send, known, span)

    async def _answer(
        self, scope: Scope, receive: Receive, send: Send, known: Correlation, span: telemetry.Span
    ) -> None:
        status = _CLIENT_GONE
        began = time.perf_counter()

        async def named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID_HEADER] = known.request_id or ""
                if known.traceparent is not None:
                    headers[TRACEPARENT_HEADER] = known.traceparent
            await send(message)

        try:
            await self._app(scope, receive, named)
        except BaseException:
            if status == _CLIENT_GONE:
                status = 500
            raise
        finally:
            seconds = time.perf_counter() - began
            method, route = scope["method"], route_template(scope)
            self._metrics.observe(method, route, status, seconds)
            span.rename(f"{method} {route}")
            span.set(http__route=route, http__response__status_code=status)
            if status >= 500:
                span.fail(f"answered {status}")
            _log_access(method, route, status, seconds)


def route_template(scope: Scope) -> str:
    """The template of the route that was taken (`/v1/models/{model}`), else `unmatched`."""
    # FastAPI keeps the template of an included router, prefix and all, apart from its route.
    effective = (scope.get("fastapi") or {}).get("effective_route_context")
    for route in (effective, scope.get("route")):
        template = getattr(route, "path_format", None)
        if template:
            return str(template)
    # Starlette's own routes (/metrics, /docs) leave no trace of themselves but their endpoint.
    if "endpoint" in scope:
        for plain in getattr(scope.get("app"), "routes", ()):
            if getattr(plain, "endpoint", None) is scope["endpoint"]:
                return str(plain.path)
    return UNMATCHED


def _log_access(method: str, route: str, status: int, seconds: float) -> None:
    line: dict[str, Any] = {"method": method, "route": route, "status": status}
    line["ms"] = round(1000 * seconds, 1)
    if status >= 500:
        log.error("request", **line)
    elif route in _PROBES:
        log.debug("request", **line)
    else:
        log.info("request", **line)
