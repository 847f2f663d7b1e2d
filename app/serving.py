"""Serve the API so that a stop is quick and nobody who waits is cut off."""

import socket
from types import FrameType

import uvicorn
from fastapi import FastAPI


class _Server(uvicorn.Server):
    """Waiting requests answer as soon as a stop is asked for, not when patience has run out."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Note the signal, and let waiting requests say what holds now."""
        app = self.config.app
        if isinstance(app, FastAPI):
            app.state.waiting.close()
        super().handle_exit(sig, frame)


def serve_api(
    app: FastAPI, listener: socket.socket, *, log_level: str, graceful_seconds: int
) -> None:
    """Serve until SIGINT or SIGTERM; requests under way have `graceful_seconds` to end."""
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level=log_level,
        timeout_graceful_shutdown=graceful_seconds,
        server_header=False,
    )
    _Server(config).run(sockets=[listener])
