"""Serve the API so that a stop is quick and nobody who waits is cut off."""

import asyncio
import gc
import socket
from types import FrameType
from typing import Any

import h11
import uvicorn
from anyio import to_thread
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from app.core.telemetry import close_telemetry

MAX_CONNECTIONS = 1000


class _Server(uvicorn.Server):
    """Waiting requests answer as soon as a stop is asked for, not when patience has run out."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Note the signal, and let waiting requests say what holds now."""
        app = self.config.app
        if isinstance(app, FastAPI):
            app.state.waiting.close()
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let requests end, then send their spans: after this the signal ends the process."""
        await super().shutdown(sockets)
        await to_thread.run_sync(close_telemetry)


class _Protocol(H11Protocol):
    """HTTP that hangs up on who does not come to the end of a request's headers in time.

    Uvicorn waits for ever for headers that come a byte at a time; its own timer is for the pause
    between two requests.
    """

    header_seconds = 10.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._headers_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._wait_for_headers()

    def data_received(self, data: bytes) -> None:
        """Take what came; begin or end to wait for headers."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_waiting()
        elif self._headers_due is None:
            self._wait_for_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait_for_headers(self) -> None:
        self._headers_due = self.loop.call_later(self.header_seconds, self._hang_up)

    def _stop_waiting(self) -> None:
        if self._headers_due is not None:
            self._headers_due.cancel()
            self._headers_due = None

    def _hang_up(self) -> None:
        self._headers_due = None
        if not self.transport.is_closing():
            self.transport.close()


def serve_api(
    app: FastAPI,
    listener: socket.socket,
    *,
    log_level: str,
    graceful_seconds: int,
    header_seconds: float,
) -> None:
    """Serve until SIGINT or SIGTERM; requests under way have `graceful_seconds` to end."""
    protocol = type("Protocol", (_Protocol,), {"header_seconds": header_seconds})
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level=log_level,
        access_log=False,  # the application writes it, with the request's id
        timeout_graceful_shutdown=graceful_seconds,
        server_header=False,
        http=protocol,
        ws="none",
        # Of headers not yet whole; and beyond so many connections new requests get 503.
        h11_max_incomplete_event_size=64 << 10,
        limit_concurrency=MAX_CONNECTIONS,
    )
    # What is there now stays until the end. Looking through it all again took a tenth of a second,
    # every few requests with many rows.
    gc.collect()
    gc.freeze()
    _Server(config).run(sockets=[listener])
