"""The real application, which answers only who sends a key."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.access import keys_service
from app.access.keys_schemas import ApiKeyCreate
from app.core.database import Database
from app.main import create_app
from app.settings import Settings

PEPPER = "a pepper that only tests know of"
Send = Callable[..., TestClient]


@pytest.fixture
def locked(settings: Settings) -> Settings:
    """Settings that need keys."""
    return settings.model_copy(update={"require_keys": True, "key_pepper": PEPPER})


@pytest.fixture
def client(locked: Settings) -> Iterator[TestClient]:
    """A client without a key."""
    with TestClient(create_app(locked), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def admin(client: TestClient, database: Database) -> TestClient:
    """A client of the same application with an admin's key."""
    return holding(client, make_key(database, "admin", "admin"))


def make_key(
    database: Database,
    name: str,
    scope: str,
    *models: str,
    expires_at: datetime | None = None,
) -> str:
    """A key, made as the command line makes one."""
    values: dict[str, Any] = {"name": name, "scope": scope, "expires_at": expires_at}
    if models:
        values["models"] = models
    with database.unit_of_work() as session:
        body = ApiKeyCreate.model_validate(values)
        return keys_service.create(session, body, PEPPER.encode())[1]


def holding(client: TestClient, key: str, address: str = "192.0.2.1") -> TestClient:
    """Another client of the same application, at an address of its own."""
    return TestClient(
        client.app,
        raise_server_exceptions=False,
        headers={"Authorization": f"Bearer {key}"},
        client=(address, 50000),
    )
