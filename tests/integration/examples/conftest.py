"""The application behind a real socket, with a model to watch."""

import socket
import threading
from collections.abc import Iterator

import pytest
import uvicorn
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import Settings
from tests.integration.embedded.up import wait_for
from tests.support.api import register_line


@pytest.fixture
def api_url(settings: Settings) -> Iterator[str]:
    """Where it listens."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(settings), log_config=None))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    wait_for(lambda: server.started)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(30)
    listener.close()


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    """A client that has registered the model `bot` with a monitor."""
    with TestClient(create_app(settings)) as client:
        register_line(client, settings)
        yield client
