"""The pages that alerts lead to: read on a phone at night as well as on a desk."""

from app.runbooks.rendering import sources
from tests.browser.conftest import BrowserPage, Site, faults


def test_runbooks_can_be_read_by_everybody(site: Site, browser_page: BrowserPage) -> None:
    page = browser_page()
    for name in sources():
        response = page.goto(f"{site.url}/runbooks/{'' if name == 'README' else name}")
        assert response is not None
        assert response.ok
        assert faults(page) == [], name
