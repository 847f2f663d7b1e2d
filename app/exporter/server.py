"""`/metrics` over HTTP: as a process of its own, or as a route of the API."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.exporter.exposition import Exposition
from app.exporter.refresher import Refresher
from app.settings import Settings


class Exporter:
    """Readings and their exposition; a context manager that starts and stops the refreshing."""

    def __init__(self, settings: Settings) -> None:
        self.refresher = Refresher(settings)
        self._exposition = Exposition(self.refresher)

    def __enter__(self) -> Self:
        self.refresher.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.refresher.close()

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """The exposition and its content type: OpenMetrics where `accept` asks for it."""
        return self._exposition.render(accept)

    async def endpoint(self, request: Request) -> Response:
        """The route's handler, for `app.add_route("/metrics", exporter.endpoint)`."""
        accept = request.headers.get("accept", "")
        # Rendering many series takes a while; requests go on meanwhile.
        body, content_type = await run_in_threadpool(self.render, accept)
        return Response(body, headers={"content-type": content_type})


def make_metrics_app(settings: Settings) -> Starlette:
    """An application with `/metrics` and `/healthz`."""
    exporter = Exporter(settings)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        with exporter:
            yield

    async def healthz(_request: Request) -> Response:
        return Response("ok\n", media_type="text/plain")

    routes = [Route("/metrics", exporter.endpoint), Route("/healthz", healthz)]
    return Starlette(routes=routes, lifespan=lifespan)


def serve_metrics(settings: Settings, listener: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM."""
    config = uvicorn.Config(
        make_metrics_app(settings),
        log_config=None,
        log_level=settings.log_level,
        access_log=False,
        timeout_graceful_shutdown=5,
        server_header=False,
    )
    uvicorn.Server(config).run(sockets=[listener])
