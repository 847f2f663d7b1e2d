"""The pages that alerts lead to: read on a phone at night as well as on a desk."""

import pytest

from app.runbooks.rendering import sources
from tests.browser.conftest import SCHEMES, WIDTHS, BrowserPage, Site, overflow, violations


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_runbooks_can_be_read_by_everybody(
    site: Site, browser_page: BrowserPage, width: int, scheme: str
) -> None:
    page = browser_page(width, scheme)
    for name in sources():
        response = page.goto(f"{site.url}/runbooks/{'' if name == 'README' else name}")
        assert response is not None
        assert response.ok
        assert violations(page) == []


def test_runbooks_fit_a_narrow_window(site: Site, browser_page: BrowserPage) -> None:
    page = browser_page(320)
    for name in sources():
        page.goto(f"{site.url}/runbooks/{'' if name == 'README' else name}")
        assert overflow(page) == [], name
