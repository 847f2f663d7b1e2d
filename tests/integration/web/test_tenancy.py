"""A key that is bound to one model sees nothing of another on any page, and all of its own."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.access.rules import OPEN, RULES
from app.core.database import Database
from app.main import create_app
from app.settings import Settings
from app.web.pages import page_templates
from tests.integration.access.conftest import make_key
from tests.integration.access.lines import Line, register
from tests.integration.web.conftest import Browser
from tests.support.routes import routes_of

ROUTES = sorted(
    route
    for route in routes_of(create_app(Settings()))
    if route.split()[1] in page_templates() and RULES[route] != OPEN
)
PAGES = [route.split()[1] for route in ROUTES if route.startswith("GET ")]
ONES = [path for path in PAGES if "{" in path]
LISTS = [path for path in PAGES if "{" not in path]
FORMS = [route.split()[1] for route in ROUTES if route.startswith("POST ") and "{" in route]
# A document of a corpus, by its place.
MORE = {"number": "1"}
FIELDS = {"by": "ada", "note": "seen"}


@pytest.fixture
def ours(admin: TestClient, locked: Settings, database: Database) -> Line:
    return register(admin, locked, database, "ours")


@pytest.fixture
def theirs(admin: TestClient, locked: Settings, database: Database) -> Line:
    return register(admin, locked, database, "theirs")


@pytest.fixture
def bound(client: TestClient, database: Database, ours: Line) -> Browser:
    """Whoever has signed in with a key that may do everything, with our model."""
    browser = Browser(client)
    assert browser.sign_in(make_key(database, "k1", "admin", "ours")).status_code == 303
    return browser


@pytest.fixture
def unbound(client: TestClient, database: Database) -> Browser:
    """Whoever has signed in with a key that sees all models."""
    browser = Browser(client)
    assert browser.sign_in(make_key(database, "k2", "admin")).status_code == 303
    return browser


def path_of(template: str, line: Line) -> str:
    return template.format(**{**MORE, **line.parameters})


def shows(text: str, line: Line) -> list[str]:
    return sorted(mark for mark in line.marks() if mark in text)


def test_these_are_all_pages() -> None:
    assert len(ONES) >= 6
    assert {"/", "/models"} <= set(LISTS)
    assert len(FORMS) >= 3
    assert page_templates() <= {route.split()[1] for route in RULES}


def test_nothing_of_another_model_is_found(bound: Browser, theirs: Line) -> None:
    for template in ONES:
        response = bound.get(path_of(template, theirs))

        assert response.status_code == 404, template
        assert "text/html" in response.headers["content-type"], template
        told = response.text
        for value in {**MORE, **theirs.parameters}.values():
            if value in path_of(template, theirs):
                told = told.replace(value, "")
        assert not shows(told, theirs), (template, told)


def test_no_form_reaches_another_model(bound: Browser, theirs: Line) -> None:
    token = bound.token("/")
    for template in FORMS:
        response = bound.http.post(path_of(template, theirs), data={"csrf_token": token, **FIELDS})
        assert response.status_code == 404, (template, response.text)


def test_of_its_own_model_everything_is_found_and_of_another_nothing_shows(
    bound: Browser, ours: Line, theirs: Line
) -> None:
    """Without this, the tests above would pass where nothing is ever found."""
    for template in PAGES:
        response = bound.get(path_of(template, ours))

        assert response.status_code == 200, (template, response.text)
        assert not shows(response.text, theirs), template
        if template in ONES:
            assert shows(response.text, ours), template


def test_lists_show_an_unbound_key_both(
    bound: Browser, unbound: Browser, ours: Line, theirs: Line
) -> None:
    for template in LISTS:
        seen = unbound.get(template).text
        # Alerts, repairs and the rest stand by ids or names of either line.
        assert shows(seen, ours), template
        assert shows(seen, theirs), template
        assert shows(bound.get(template).text, ours), template


@pytest.mark.parametrize("template", PAGES)
def test_every_page_needs_a_sign_in(browser: Browser, template: str) -> None:
    numbers: Any = dict.fromkeys(
        ("evaluation", "feature", "alert", "repair"), "019ab7d2-5c00-7000-8000-000000000003"
    )
    names = dict.fromkeys(("model", "monitor", "checkpoint", "corpus", "dictionary"), "x")
    path = template.format(**MORE, **numbers, **names)

    refused = browser.get(path)

    assert refused.status_code == 303
    assert refused.headers["location"].startswith("/sign-in")
    assert refused.content == b""
