"""People decide with a keyboard, and without scripts; this comes after the pages were looked at."""

import httpx
import pytest

from tests.browser.conftest import PHONE, BrowserPage, Sessions, Site, violations


def read(site: Site, path: str) -> dict[str, object]:
    headers = {"Authorization": f"Bearer {site.keys['read']}"}
    found: dict[str, object] = httpx.get(f"{site.url}/v1{path}", headers=headers).json()
    return found


@pytest.mark.parametrize("javascript", [False, True])
def test_an_alert_is_acknowledged_by_keyboard(
    site: Site,
    paths: dict[str, str],
    browser_page: BrowserPage,
    sessions: Sessions,
    javascript: bool,
) -> None:
    page = browser_page(PHONE, javascript=javascript, session=sessions("write"))
    page.goto(site.url + paths["alert"])
    page.get_by_label("Note").focus()
    page.keyboard.press("Control+A")
    page.keyboard.type(f"with javascript: {javascript}")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**done=acknowledged")
    assert page.get_by_role("status").inner_text().startswith("Acknowledged.")
    alert = read(site, paths["alert"])
    assert (alert["acknowledged_by"], alert["note"]) == (
        "release-bot",
        f"with javascript: {javascript}",
    )
    if javascript:
        assert violations(page) == []
    # To load the page again decides nothing.
    before = alert["updated_at"]
    page.reload()
    assert read(site, paths["alert"])["updated_at"] == before


def test_who_only_reads_is_shown_no_form(
    site: Site, paths: dict[str, str], browser_page: BrowserPage, sessions: Sessions
) -> None:
    page = browser_page(session=sessions("read"))
    for name in ("alert", "repair"):
        page.goto(site.url + paths[name])
        assert page.locator("main form").count() == 0
        assert "scope write" in page.inner_text("main")
    page.goto(site.url)
    assert page.get_by_role("link", name="Audit trail").count() == 0


def test_a_repair_is_accepted_with_a_reason(
    site: Site, paths: dict[str, str], browser_page: BrowserPage, sessions: Sessions
) -> None:
    page = browser_page(session=sessions("write"))
    page.goto(site.url + paths["repair"])
    accept = page.get_by_role("button", name="Accept")
    accept.click()
    # The browser itself asks for the reason: nothing was sent.
    assert page.url == site.url + paths["repair"]
    page.get_by_label("Reason").fill("The rotation was announced.")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**done=accepted")
    assert "version 2 of contact-data is published" in page.get_by_role("status").inner_text()
    repair = read(site, paths["repair"])
    assert (repair["state"], repair["decided_by"]) == ("accepted", "release-bot")
    assert violations(page) == []
