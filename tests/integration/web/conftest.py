"""The real application as a browser sees it: cookies are kept, redirects are looked at."""

import re
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.core.database import Database
from tests.integration.access.conftest import admin, client, locked, make_key

__all__ = ["admin", "client", "locked"]

_TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


class Browser:
    """A client that keeps cookies and follows nothing by itself."""

    def __init__(self, client: TestClient, address: str = "198.51.100.7") -> None:
        self.http = TestClient(
            client.app,
            raise_server_exceptions=False,
            follow_redirects=False,
            headers={"Accept": "text/html"},
            client=(address, 50000),
        )

    def get(self, path: str) -> Any:
        return self.http.get(path)

    def token(self, path: str) -> str:
        """The token of a page's forms."""
        found = _TOKEN.search(self.get(path).text)
        assert found is not None, f"{path} has no form"
        return found[1]

    def send(self, page: str, path: str, /, **fields: str) -> Any:
        """Send a form that stands on a page."""
        return self.http.post(path, data={"csrf_token": self.token(page), **fields})

    def sign_in(self, key: str, target: str = "/") -> Any:
        return self.send("/sign-in", "/sign-in", key=key, next=target)


@pytest.fixture
def browser(client: TestClient) -> Browser:
    """A browser that has not signed in, at a server that needs keys."""
    return Browser(client)


@pytest.fixture
def reader(browser: Browser, database: Database) -> Browser:
    """A browser that has signed in with a key that reads."""
    assert browser.sign_in(make_key(database, "reader", "read")).status_code == 303
    return browser
