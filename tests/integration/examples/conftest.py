"""The application behind a real socket, with a model to watch."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import Settings
from tests.support.api import register_line
from tests.support.serving import serving


@pytest.fixture
def api_url(settings: Settings) -> Iterator[str]:
    """Where it listens."""
    with serving(settings) as url:
        yield url


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    """A client that has registered the model `bot` with a monitor."""
    with TestClient(create_app(settings)) as client:
        register_line(client, settings)
        yield client
