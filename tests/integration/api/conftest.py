"""A client of the real application, on a real Postgres."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from app.main import create_app
from app.settings import Settings
from tests.support.api import register_line


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    """Requests go to the application in this process; its errors come back as answers."""
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def line(client: TestClient, settings: Settings) -> TestClient:
    """The client, with a line registered."""
    register_line(client, settings)
    return client


@pytest.fixture(scope="module")
def shared_settings(
    postgres_url: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Settings]:
    """Settings with a database of the module's own."""
    name = f"shared_{request.module.__name__.rpartition('.')[2]}"
    server = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE template"))
    root = tmp_path_factory.mktemp("models")
    url = make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
    yield Settings(DATABASE_URL=url, data_dir=root.parent, model_roots=(root,))
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()


@pytest.fixture(scope="module")
def shared_client(shared_settings: Settings) -> Iterator[TestClient]:
    """A client for requests that are refused: model `bot` and monitor `watch` exist."""
    with TestClient(create_app(shared_settings), raise_server_exceptions=False) as client:
        register_line(client, shared_settings)
        yield client


@pytest.fixture(scope="module")
def root(shared_settings: Settings) -> Path:
    """The folder under which the shared client's sources must lie."""
    return shared_settings.allowed_roots[0]
