"""Reports in a real browser: the examples as files, and one as the service answers it."""

from pathlib import Path

import pytest
from playwright.sync_api import Page

from app.reports.html import render_html
from tests.browser.conftest import (
    DESKTOP,
    PHONE,
    BrowserPage,
    Site,
    look,
    overflow,
    violations,
)
from tests.support.line import BASE, TURNED, WATCH, SampleLine
from tests.unit.reports.test_html import CONTROLS
from tests.unit.reports.worlds import drifted, feature, with_features
from tools.examples.kinds import KINDS
from tools.examples.rendering import FOLDER

NARROWEST = 320


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with every kind of evidence, picture and passage that there is."""
    features = [drifted("all-of-it"), feature(name="calm"), feature(name="b", verdict="untrusted")]
    file = tmp_path_factory.mktemp("reports") / "report.html"
    file.write_bytes(render_html(with_features(features, controls=CONTROLS)))
    return file


def _beyond_their_boxes(page: Page) -> list[str]:
    """Tokens of passages that are drawn outside of the passage's box."""
    return list(
        page.evaluate(
            """() => [...document.querySelectorAll('.pair>div')].flatMap((box) => {
              const right = box.getBoundingClientRect().right + 1;
              return [...box.querySelectorAll('u')]
                .filter((e) => [...e.getClientRects()].some((r) => r.right > right))
                .map((e) => `${e.title}: ${JSON.stringify(e.textContent)}`);
            })"""
        )
    )


def open_details(page: Page) -> None:
    for summary in page.locator("summary").all():
        summary.click()


def test_a_report_can_be_read_by_everybody(everything: Path, browser_page: BrowserPage) -> None:
    page = browser_page(DESKTOP, "light")
    page.goto(everything.as_uri())
    open_details(page)
    assert violations(page) == []
    for width in (DESKTOP, PHONE, NARROWEST):
        look(page, width, "dark")
        assert overflow(page) == [], width
    # Of all that axe looks at, colours alone change with the scheme, and sizes with the width.
    look(page, PHONE, "dark")
    assert violations(page, "color-contrast", "target-size", "scrollable-region-focusable") == []


def test_the_examples_fit_every_window(browser_page: BrowserPage) -> None:
    """What axe says of them it says of `everything`: a page of ten thousand elements takes long."""
    page = browser_page(DESKTOP, "dark")
    for kind in KINDS:
        page.goto((FOLDER / f"{kind.name}.html").as_uri())
        for width in (DESKTOP, PHONE):
            look(page, width, "dark")
            assert overflow(page) == [], (kind.name, width)
            assert _beyond_their_boxes(page) == [], (kind.name, width)
        if kind.name == "invalid":
            assert violations(page) == []


def test_everything_that_scrolls_can_be_reached_by_keyboard(
    everything: Path, browser_page: BrowserPage
) -> None:
    page = browser_page(PHONE)
    page.goto(everything.as_uri())
    unreachable = page.evaluate(
        """() => [...document.querySelectorAll('main *, footer *')]
          .filter((e) => ['auto', 'scroll'].includes(getComputedStyle(e).overflowX))
          .filter((e) => e.scrollWidth > e.clientWidth && e.tabIndex < 0)
          .map((e) => e.outerHTML.slice(0, 80))"""
    )
    assert unreachable == []
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") in ("A", "SUMMARY", "DIV", "FIGURE")


def test_paper_has_light_colours_and_the_numbers_of_every_picture(
    everything: Path, browser_page: BrowserPage
) -> None:
    page = browser_page(scheme="dark")
    page.goto(everything.as_uri())
    on_screen = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    page.emulate_media(media="print", color_scheme="dark")
    on_paper = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert on_screen != on_paper == "rgb(255, 255, 255)"
    heights = page.evaluate(
        """() => [...document.querySelectorAll('details table')]
          .map((e) => e.getBoundingClientRect().height)"""
    )
    assert heights
    assert all(height > 10 for height in heights)
    assert page.pdf(format="A4", prefer_css_page_size=True).startswith(b"%PDF")


def test_without_scripts_it_is_the_same(everything: Path, browser_page: BrowserPage) -> None:
    page = browser_page(javascript=False)
    page.goto(everything.as_uri())
    page.locator("summary").first.click()
    assert page.get_by_text("a margin, beyond doubt").is_visible()


def test_the_service_answers_it_under_a_strict_policy(
    site: Site, line: SampleLine, browser_page: BrowserPage
) -> None:
    key = {"Authorization": f"Bearer {site.keys['read']}"}
    page = browser_page(extra_http_headers=key)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    url = f"{site.url}/v1/evaluations/{line.evaluations[WATCH, TURNED]}/report.html"
    response = page.goto(url)
    assert response is not None
    assert response.ok
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    # Not even an icon is asked for.
    assert [one for one in requests if not one.startswith("data:")] == [url]
    heading = page.get_by_role("heading", level=1)
    assert TURNED in heading.inner_text()
    assert BASE in heading.inner_text()
