"""`python -m tools.screenshots`: docs/images/*.png, a phone's and a desk's view of each page.

Takes a minute: it starts the whole service, with a line of its own that workers judge.
"""

import argparse
import io
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.line import decide, pages
from tests.support.tools import find_tool
from tools.screenshots.service import Service, running

OUT = Path(__file__).parents[2] / "docs" / "images"
PHONE, DESKTOP = (360, 780), (1280, 860)
COLOURS, TALLEST = 128, 2400
DARK = ("overview", "monitor", "evaluation", "corpus", "alert")
"""Pages that are shown by night too: one of each kind, the folder stays small."""
HOME = "/srv/featuredrift"
"""What a reader sees in place of the folder in which the pictures are taken."""
_AT_HOME = """([folder, home]) => {
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    texts.currentNode.data = texts.currentNode.data.replaceAll(folder, home);
  }
}"""


def main() -> None:
    """Make all pictures anew."""
    parser = argparse.ArgumentParser(prog="python -m tools.screenshots", description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--serve", action="store_true", help="fill the service and stay up")
    asked = parser.parse_args()
    program = find_tool("chromium")
    if program is None and not asked.serve:
        parser.error("chromium is not installed; it takes the pictures (apt install chromium)")
    with (
        tempfile.TemporaryDirectory(
            prefix="featuredrift-pictures-", ignore_cleanup_errors=True
        ) as folder,
        running(Path(folder)) as service,
    ):
        headers = {"Authorization": f"Bearer {service.key}"}
        with httpx.Client(base_url=service.url, headers=headers, timeout=60) as api:
            decide(api)
            found = pages(api, service.line)
        if asked.serve:
            print(f"{service.url}\n{service.key}", flush=True)  # noqa: T201
            _wait_to_be_ended()
            return
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=str(program), args=["--no-sandbox", "--disable-gpu"]
            )
            take(browser, service, Path(folder), found, asked.out)
            browser.close()


def take(
    browser: Browser, service: Service, folder: Path, found: Mapping[str, str], out: Path
) -> None:
    """Take a picture of each page; pictures of pages that are no more go."""
    url, key = service.url, service.key
    out.mkdir(parents=True, exist_ok=True)
    made = set()
    for place, size in (("desktop", DESKTOP), ("phone", PHONE)):
        for scheme in ("light", "dark"):
            names = found if scheme == "light" else {name: found[name] for name in DARK}
            with _opened(browser, url, size, scheme) as page:
                if scheme == "light":
                    made |= {_picture(page, f"{url}/sign-in", folder, out / f"sign-in-{place}.png")}
                _sign_in(page, url, key)
                for name, path in names.items():
                    night = "-dark" if scheme == "dark" else ""
                    file = out / f"{name}-{place}{night}.png"
                    made |= {_picture(page, url + path, folder, file)}
    for old in set(out.glob("*.png")) - made:
        old.unlink()


@contextmanager
def _opened(browser: Browser, url: str, size: tuple[int, int], scheme: str) -> Iterator[Page]:
    context = browser.new_context(
        base_url=url,
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
    )
    yield context.new_page()
    context.close()


def _sign_in(page: Page, url: str, key: str) -> None:
    page.goto(f"{url}/sign-in")
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{url}/")


def _picture(page: Page, url: str, folder: Path, file: Path) -> Path:
    answer = page.goto(url)
    if answer is None or not answer.ok:
        raise RuntimeError(f"{url} answers {answer.status if answer else 'nothing'}")
    page.evaluate(_AT_HOME, [str(folder), HOME])
    if str(folder) in page.inner_text("body"):
        raise RuntimeError(f"{url} shows {folder}, of which no reader has heard")
    width = page.viewport_size["width"] if page.viewport_size else DESKTOP[0]
    height = min(TALLEST, int(page.evaluate("document.documentElement.scrollHeight")))
    data = page.screenshot(full_page=True, clip={"x": 0, "y": 0, "width": width, "height": height})
    # Flat pages need few colours, and a palette makes a picture a fifth as large; with fewer than
    # these, a badge's colour is lost for being rare.
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    picture = picture.quantize(COLOURS, dither=Image.Dither.NONE)
    picture.save(file, optimize=True)
    return file


def _wait_to_be_ended() -> None:
    ends = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    signal.sigwait(ends)


if __name__ == "__main__":
    main()
