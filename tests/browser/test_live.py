"""An evaluation's page while it is under way: it moves and ends by itself, or is loaded anew."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from playwright.sync_api import Page, expect
from sqlalchemy import select

from app.core.database import Database
from app.evaluations import ledger
from app.evaluations.tables import Shard
from app.main import create_app
from app.settings import Settings
from tests.browser.conftest import BrowserPage, violations
from tests.support.api import finish, register_checkpoint, register_line, verdict
from tests.support.serving import serving


@pytest.fixture
def url(settings: Settings) -> Iterator[str]:
    with serving(settings) as found:
        yield found


@pytest.fixture
def evaluation(settings: Settings) -> str:
    """One that waits for a worker."""
    with TestClient(create_app(settings)) as client:
        register_line(client, settings)
        (found,) = register_checkpoint(client, settings, "next")["evaluations"]
    return str(found)


def begin(database: Database, evaluation: str) -> ledger.Claim:
    """As a worker that takes the plan."""
    with database.unit_of_work() as session:
        shard = session.scalars(select(Shard.id).where(Shard.evaluation_id == evaluation)).one()
        claim = ledger.claim(session, shard, worker="w", lease_seconds=60, max_attempts=3)
        assert isinstance(claim, ledger.Claim)
        ledger.start_evaluation(session, UUID(evaluation))
    return claim


def test_the_page_follows_without_being_loaded_again(
    browser_page: BrowserPage, url: str, evaluation: str, database: Database
) -> None:
    address = f"{url}/evaluations/{evaluation}"
    without = browser_page(javascript=False)
    without.goto(address)
    refresh = without.locator("noscript meta[http-equiv=refresh], meta[http-equiv=refresh]")
    assert refresh.first.get_attribute("content") == "10"
    expect(without.get_by_role("progressbar")).to_be_visible()

    page: Page = browser_page()
    page.clock.install()
    page.goto(address)
    expect(page.get_by_role("progressbar")).to_have_attribute("value", "0")
    expect(page.locator("#live")).to_contain_text("waiting for a worker")
    assert violations(page) == []
    page.evaluate("window.same = true")

    claim = begin(database, evaluation)
    page.clock.fast_forward(3000)
    expect(page.locator("#live")).to_contain_text("reading checkpoints and corpus", timeout=20_000)
    expect(page.get_by_role("status")).to_contain_text("Reading checkpoints and corpus")
    with database.unit_of_work() as session:
        ledger.finish(session, claim)
    page.clock.fast_forward(3000)
    expect(page.get_by_role("progressbar")).to_have_attribute("value", "1", timeout=20_000)
    expect(page.locator("#live")).to_contain_text("shards/min")
    assert page.evaluate("window.same") is True

    with database.unit_of_work() as session:
        finish(session, evaluation, [verdict("number", "drifted"), verdict("up", "stable")])
    page.clock.fast_forward(3000)
    expect(page.get_by_role("heading", name="Verdicts")).to_be_visible(timeout=20_000)
    expect(page.locator("#live")).to_have_count(0)
    expect(page.get_by_role("link", name="Read the report")).to_be_visible()
