"""Serve the API so that a stop is quick and nobody who waits is cut off."""

import socket
from types import FrameType

import uvicorn
from anyio import to_thread
from fastapi import FastAPI

from app.core.telemetry import close_telemetry


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


def serve_api(
    app: FastAPI, listener: socket.socket, *, log_level: str, graceful_seconds: int
) -> None:
    """Serve until SIGINT or SIGTERM; requests under way have `graceful_seconds` to end."""
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level=log_level,
        access_log=False,  # the application writes it, with the request's id
        timeout_graceful_shutdown=graceful_seconds,
        server_header=False,
    )
    _Server(config).run(sockets=[listener])
