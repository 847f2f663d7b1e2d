"""Every page before everybody: axe's rules, narrow windows, keyboards, no scripts."""

from typing import Any

import pytest

from tests.browser.conftest import (
    COLOURS,
    DESKTOP,
    PHONE,
    WIDTHS,
    BrowserPage,
    Sessions,
    Site,
    faults,
    look,
    sign_in,
    violations,
)
from tests.support.line import CORPUS, HOSTILE, MODEL

NAMES = (
    *("overview", "models", "model", "checkpoint", "monitor"),
    *("evaluation", "evaluation-failed", "evaluation-invalid", "feature"),
    *("corpora", "corpus", "document", "dictionaries", "dictionary"),
    *("alerts", "alert", "repairs", "repair", "audit"),
)
LISTS = ("/", "/models", "/alerts", "/repairs", "/corpora", "/dictionaries")
FOCUSED = """() => {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  const style = getComputedStyle(one), box = one.getBoundingClientRect();
  return {
    name: (one.labels?.[0]?.textContent || one.textContent || one.value || one.tagName).trim(),
    tag: one.tagName.toLowerCase(),
    inside: !!one.closest('main form'),
    ring: style.outlineStyle !== 'none' ? parseFloat(style.outlineWidth) : 0,
    seen: box.width > 0 && box.bottom > 0 && box.top < innerHeight && box.right > 0,
  };
}"""
FIELDS = """() => [...document.querySelectorAll(
  'main form :is(input:not([type=hidden]), select, textarea, button, a[href])')].length"""


def test_axe_finds_what_is_wrong(browser_page: BrowserPage) -> None:
    page = browser_page()
    body = "<main><h1>t</h1><img src=data:,><p>words that are too pale</p></main>"
    page.set_content(f"<html lang=en><title>t</title>{body}")
    page.add_style_tag(content="p { color: #aaa; background: #fff }")
    found = violations(page)
    assert {one.partition(":")[0] for one in found} == {"image-alt", "color-contrast"}
    assert [one.partition(":")[0] for one in violations(page, *COLOURS)] == ["color-contrast"]


def test_the_apis_documentation_loads_nothing_foreign(
    site: Site, browser_page: BrowserPage
) -> None:
    page = browser_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{site.url}/docs")
    page.locator("#operations-models-register_model_v1_models_post").wait_for()
    assert [url for url in asked if not url.startswith((site.url, "data:"))] == []


def test_no_page_is_left_out(paths: dict[str, str]) -> None:
    assert set(paths) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_everybody_can_use_it(
    site: Site,
    paths: dict[str, str],
    browser_page: BrowserPage,
    sessions: Sessions,
    name: str,
) -> None:
    page = browser_page(session=sessions("admin"))
    response = page.goto(site.url + paths[name])
    assert response is not None
    assert response.ok, page.inner_text("body")
    assert page.get_by_role("heading", level=1).count() == 1
    assert faults(page) == []


def test_everybody_can_sign_in(site: Site, browser_page: BrowserPage) -> None:
    page = browser_page()
    page.goto(f"{site.url}/sign-in?next=/alerts")
    assert faults(page) == []


def test_a_key_that_does_not_work_is_told_of_to_everybody(
    site: Site, browser_page: BrowserPage
) -> None:
    # The browser's console notes every 401.
    page = browser_page(expect_errors=True)
    page.goto(f"{site.url}/sign-in")
    page.get_by_label("API key").fill("fd_not-a-key")
    page.keyboard.press("Enter")
    assert "no whole key" in page.get_by_role("alert").inner_text()
    assert faults(page) == []


def test_a_page_with_nothing_on_it_says_what_to_do(
    site: Site, line: Any, browser_page: BrowserPage, sessions: Sessions
) -> None:
    del line
    page = browser_page(PHONE, session=sessions("elsewhere"))
    for path in LISTS:
        page.goto(site.url + path)
        assert MODEL not in page.inner_text("body")
        assert violations(page) == [], path


def test_what_is_not_there_is_said_to_everybody(
    site: Site, browser_page: BrowserPage, sessions: Sessions
) -> None:
    page = browser_page(expect_errors=True, session=sessions("read"))
    for path in ("/corpora/nothing", "/alerts/not-an-id", "/nowhere", "/audit"):
        response = page.goto(site.url + path)
        assert response is not None
        assert response.status in (403, 404, 422)
        assert violations(page) == []


@pytest.mark.parametrize("name", ["alerts", "alert", "repairs", "repair", "audit"])
def test_forms_are_reached_and_left_by_keyboard(
    site: Site, paths: dict[str, str], browser_page: BrowserPage, sessions: Sessions, name: str
) -> None:
    page = browser_page(session=sessions("admin"))
    for width in WIDTHS:
        look(page, width, "light")
        page.goto(site.url + paths[name])
        visited = []
        for _ in range(150):
            page.keyboard.press("Tab")
            found = page.evaluate(FOCUSED)
            if found is None:
                break
            visited.append(found)
        else:
            pytest.fail(f"the focus never leaves the page: {visited[-3:]}")
        assert visited[0]["name"] == "Skip to the content"
        assert [one for one in visited if one["ring"] < 2] == []
        assert [one for one in visited if not one["seen"]] == []
        assert sum(one["inside"] for one in visited) == page.evaluate(FIELDS) > 0


def test_the_content_is_one_key_away(
    site: Site, browser_page: BrowserPage, paths: dict[str, str], sessions: Sessions
) -> None:
    page = browser_page(session=sessions("read"))
    page.goto(site.url + paths["corpus"])
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"


def test_lists_are_filtered_by_keyboard_alone(
    site: Site, browser_page: BrowserPage, paths: dict[str, str], sessions: Sessions
) -> None:
    page = browser_page(session=sessions("read"))
    page.goto(site.url + paths["alerts"])
    page.get_by_label("Name").focus()
    page.keyboard.type("greeting")
    page.keyboard.press("Enter")
    page.wait_for_url("**subject=greeting**")
    titles = page.locator("li.entry h2").all_inner_texts()
    assert titles
    assert all(title.startswith("Feature greeting") for title in titles)
    page.get_by_role("link", name="All filters off").focus()
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site.url}/alerts")
    assert page.locator("li.entry").count() > len(titles)


def test_pages_need_no_script(
    site: Site, paths: dict[str, str], browser_page: BrowserPage, sessions: Sessions
) -> None:
    page = browser_page(PHONE, javascript=False, session=sessions("admin"))
    for path in paths.values():
        response = page.goto(site.url + path, wait_until="commit")
        assert response is not None
        assert response.ok, path
        assert page.locator("main h1").is_visible(), path
        # Nothing waits for a script to show it.
        assert page.locator("main [hidden]").count() == 0, path


def test_sign_in_needs_no_script(site: Site, browser_page: BrowserPage) -> None:
    page = browser_page(PHONE, javascript=False)
    sign_in(page, site, "read", "/alerts")
    assert page.locator("h1").inner_text() == "Alerts"
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{site.url}/sign-in")


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_documents_show_their_labels_as_text(
    site: Site, paths: dict[str, str], browser_page: BrowserPage, sessions: Sessions, width: int
) -> None:
    page = browser_page(width, session=sessions("read"))
    page.on("dialog", lambda dialog: pytest.fail(f"a text was run: {dialog.message}"))
    page.goto(site.url + paths["corpus"])
    second = page.locator(".document").nth(1)
    assert HOSTILE in second.inner_text()
    labels = second.locator("mark .tag").all_inner_texts()
    assert sorted(labels) == ["email", "name"]
    assert "labelled to have no phone" in second.inner_text()
    page.get_by_role("link", name="More documents").click()
    page.wait_for_url(f"**/corpora/{CORPUS}?start=21")
    assert page.locator(".document h3").first.inner_text().startswith("21.")
