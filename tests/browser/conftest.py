"""A real Chromium before a real service, whose line of checkpoints real workers have judged.

Other tests of pages take `browser_page` for a page of any size and colour scheme, `violations` for
what axe says of it, and `line` with `site` for data worth looking at.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import httpx
import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, sync_playwright
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from app.access import keys_service
from app.access.keys_schemas import ApiKeyCreate
from app.core.database import Database, make_engine
from app.core.ids import new_id
from app.embedded.redis import RedisServer
from app.settings import Settings
from tests.support.deployment import dispatching, working
from tests.support.line import OTHER_MODEL, TINY, SampleLine, build, decide, pages
from tests.support.serving import serving
from tests.support.tools import tool

PEPPER = "a pepper that only tests know of"
PHONE, DESKTOP = 360, 1280
NARROW = 320
WIDTHS = (PHONE, DESKTOP)
SCHEMES = ("light", "dark")
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
"""WCAG 2.2 has no rules at level A of its own in axe; best practices cover headings, landmarks."""
COLOURS = ("color-contrast", "link-in-text-block")


@dataclass(frozen=True)
class Site:
    """A served application and a key of each kind for it."""

    url: str
    settings: Settings
    database: Database
    keys: dict[str, str]
    """`admin`, `write`, `read`, and `elsewhere`: read, bound to a model without evaluations."""


@pytest.fixture(scope="package")
def site(
    postgres_url: str, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """The application behind a socket, with dispatcher and worker; it answers who has a key."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "models").mkdir()
    name = f"test_{new_id().hex}"
    server = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE template"))
    settings = Settings(
        DATABASE_URL=make_url(postgres_url)
        .set(database=name)
        .render_as_string(hide_password=False),
        REDIS_URL=redis_server.url,
        queue=name,
        data_dir=folder,
        model_roots=(folder / "models",),
        require_keys=True,
        key_pepper=PEPPER,
        **TINY,
    )
    database = Database(make_engine(settings, application="tests"))
    keys = {
        "admin": _key(database, "admin", "admin"),
        "write": _key(database, "release-bot", "write"),
        "read": _key(database, "reader", "read"),
        "elsewhere": _key(database, "elsewhere", "read", OTHER_MODEL),
    }
    with (
        serving(settings) as url,
        dispatching(settings),
        working(settings, folder / "worker.log", forked=True),
    ):
        yield Site(url, settings, database, keys)
    database.dispose()
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()


@pytest.fixture(scope="package")
def line(site: Site) -> SampleLine:
    """A line that is stable, drifted, untrusted, invalid and failed, with alerts and a repair."""
    with _api(site) as api:
        try:
            return build(api, site.settings.allowed_roots[0])
        except TimeoutError as error:
            error.add_note((site.settings.data_dir / "worker.log").read_text()[-4000:])
            raise


def _api(site: Site) -> httpx.Client:
    headers = {"Authorization": f"Bearer {site.keys['admin']}"}
    return httpx.Client(base_url=site.url, headers=headers, timeout=60)


def sign_in(page: Page, site: Site, key: str, target: str = "/") -> None:
    """Sign in as people do, by the form."""
    page.goto(f"{site.url}/sign-in?next={target}")
    page.get_by_label("API key").fill(site.keys[key])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(site.url + target)


def state_of(browser: Browser, site: Site, key: str) -> Any:
    """Cookies of a browser that has signed in, for other pages to begin with."""
    context = browser.new_context()
    sign_in(context.new_page(), site, key)
    state = context.storage_state()
    context.close()
    return state


def _key(database: Database, name: str, scope: str, *models: str) -> str:
    values: dict[str, Any] = {"name": name, "scope": scope}
    if models:
        values["models"] = models
    with database.unit_of_work() as session:
        body = ApiKeyCreate.model_validate(values)
        return keys_service.create(session, body, PEPPER.encode())[1]


# Playwright's loop runs in this thread for as long as it is open, so that nothing else can run one:
# it must not stay open beyond this folder's tests.
@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    """Playwright's driver."""
    with sync_playwright() as found:
        yield found


@pytest.fixture(scope="package")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """The Chromium that is installed; nothing is fetched."""
    browser = playwright.chromium.launch(
        executable_path=str(tool("chromium")), args=["--no-sandbox", "--disable-gpu"]
    )
    yield browser
    browser.close()


BrowserPage = Callable[..., Page]
Sessions = Callable[[str], Any]


@pytest.fixture(scope="package")
def sessions(browser: Browser, site: Site) -> Sessions:
    """Cookies of whoever has signed in: `browser_page(session=sessions("read"))`."""
    return lru_cache(lambda key: state_of(browser, site, key))


@pytest.fixture(scope="package")
def paths(site: Site, line: SampleLine) -> dict[str, str]:
    """Name of a page → its path, of all pages with something on them."""
    with _api(site) as api:
        decide(api)
        return pages(api, line)


@pytest.fixture
def browser_page(browser: Browser) -> Iterator[BrowserPage]:
    """Makes pages: `browser_page(width=360, scheme="dark", javascript=False, session=…)`.

    At the end of the test nothing may have been complained of in a page's console: no errors, no
    refused requests, no violations of the Content-Security-Policy.
    """
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def make(
        width: int = DESKTOP,
        scheme: str = "light",
        *,
        javascript: bool = True,
        session: Any = None,
        expect_errors: bool = False,
        **options: Any,
    ) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 800},
            color_scheme=scheme,  # type: ignore[arg-type]
            java_script_enabled=javascript,
            storage_state=session,
            reduced_motion="reduce",
            **options,
        )
        contexts.append(context)
        context.set_default_timeout(20_000)
        page = context.new_page()
        if not expect_errors:
            page.on("console", lambda message: _note(complaints, message))
            page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
        return page

    yield make
    for context in contexts:
        context.close()
    assert not complaints


def _note(complaints: list[str], message: Any) -> None:
    # axe's own hints are warnings; what a policy refuses is an error.
    if message.type == "error":
        complaints.append(f"{message.location.get('url')}: {message.text}")


def violations(page: Page, *rules: str) -> list[str]:
    """What axe-core finds against WCAG 2.0 to 2.2, levels A and AA: a line for each element.

    Args:
        rules: only these; all of those levels where none is given.
    """
    only = {"type": "rule", "values": rules} if rules else {"type": "tag", "values": RULES}
    # Half a megabyte: a page that is looked at again has it.
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    return list(
        page.evaluate(
            """async (options) => (await axe.run(document, options)).violations.flatMap(
              (one) => one.nodes.map((node) => [
                one.id, one.help, node.target.join(' '), node.html.slice(0, 200),
                node.failureSummary].join(': ')))""",
            {"runOnly": only, "resultTypes": ["violations"]},
        )
    )


def faults(page: Page) -> list[str]:
    """What axe finds in any of the widths and colours, and what does not fit a narrow window."""
    found = []
    for width in WIDTHS:
        for scheme in SCHEMES:
            look(page, width, scheme)
            # What is not a matter of colour is the same by night.
            rules = () if scheme == "light" else COLOURS
            found += [f"{width} px, {scheme}: {one}" for one in violations(page, *rules)]
    look(page, NARROW, "light")
    return found + [f"{NARROW} px: {one}" for one in overflow(page)]


def overflow(page: Page) -> list[str]:
    """Elements that make the page wider than its window, outside of what scrolls by itself."""
    return list(
        page.evaluate(
            """() => {
              const width = document.documentElement.clientWidth;
              if (document.documentElement.scrollWidth <= width) return [];
              const scrolls = (e) => e && e !== document.body && e !== document.documentElement &&
                (['auto', 'scroll', 'hidden'].includes(getComputedStyle(e).overflowX) ||
                 scrolls(e.parentElement));
              return [...document.body.querySelectorAll('*')]
                .filter((e) => e.getBoundingClientRect().right > width + 1)
                .filter((e) => !scrolls(e.parentElement))
                .map((e) => `${e.tagName}.${e.className}: ${e.textContent.trim().slice(0, 60)}`);
            }"""
        )
    )


def look(page: Page, width: int, scheme: str) -> None:
    """Have the same page in a window of another width, or in other colours."""
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
