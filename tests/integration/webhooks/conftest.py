"""Webhooks against a real Postgres and a real receiver on this machine."""

from collections.abc import Callable, Iterator
from ipaddress import ip_network
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.core.database import Database
from app.main import create_app
from app.settings import Settings
from tests.integration.webhooks.receiver import Receiver, receiving
from tests.support.deployment import wait_for


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Settings that let webhooks go to this machine, and be repeated soon."""
    return settings.model_copy(
        update={
            "webhook_allowed_networks": (ip_network("127.0.0.0/8"),),
            "webhook_retry_delays": (0.1,),
            "webhook_timeout": 1.0,
            "webhook_max_age": 60.0,
        }
    )


@pytest.fixture
def client(settings: Settings, database: Database) -> Iterator[TestClient]:
    """Requests go to the application in this process."""
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that takes everything until it is told otherwise."""
    with receiving() as receiver:
        yield receiver


class Hooks:
    """What tests ask of the API."""

    def __init__(self, client: TestClient) -> None:
        self.client = client

    def make(self, url: str, **body: Any) -> dict[str, Any]:
        """A webhook, with its secret."""
        response = self.client.post("/v1/webhooks", json={"url": url, **body})
        assert response.status_code == 201, response.text
        return response.json()  # type: ignore[no-any-return]

    def test(self, webhook: dict[str, Any]) -> str:
        """Ask for a test event; where its delivery is."""
        response = self.client.post(f"/v1/webhooks/{webhook['id']}:test")
        assert response.status_code == 202, response.text
        return response.headers["Location"]

    def get(self, path: str) -> dict[str, Any]:
        """GET that must succeed."""
        response = self.client.get(path)
        assert response.status_code == 200, response.text
        return response.json()  # type: ignore[no-any-return]

    def until(
        self, path: str, holds: Callable[[dict[str, Any]], bool], timeout: float = 30
    ) -> dict[str, Any]:
        """The resource once something holds of it."""

        def look() -> dict[str, Any] | None:
            found = self.get(path)
            return found if holds(found) else None

        return wait_for(look, timeout)  # type: ignore[no-any-return]

    def ended(self, path: str) -> dict[str, Any]:
        """A delivery once it has ended."""
        return self.until(path, lambda found: found["state"] != "pending")


@pytest.fixture
def hooks(client: TestClient) -> Hooks:
    """What tests ask of the API."""
    return Hooks(client)
