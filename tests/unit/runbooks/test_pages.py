"""Runbooks as pages: whole, escaped, from nowhere else, and in the installed package."""

import subprocess
import sys
import zipfile
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.runbooks import rendering
from app.runbooks.rendering import render, sources
from app.settings import Settings

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "docs" / "runbooks"
ADDRESS = "https://drift.example.com/here"
NAMES = sorted(path.stem for path in FOLDER.glob("*.md"))


class Page(HTMLParser):
    """What a page holds."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def client() -> TestClient:
    # Pages need no database: they answer while it is away, when they are needed most.
    return TestClient(create_app(Settings(public_url=ADDRESS)))


def test_the_package_has_every_page_of_the_documentation() -> None:
    assert sorted(sources()) == NAMES
    assert len(NAMES) > 10


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_whole_and_leads_only_to_what_is_served(name: str, client: TestClient) -> None:
    page = Page(render(name, ADDRESS))
    assert not {"script", "img", "iframe", "link", "form", "base"} & page.tags
    assert not {"style", "onclick", "onerror", "src"} & page.attributes
    for link in page.links:
        assert client.get(f"/runbooks/{link}").status_code == 200, link
    assert "](" not in page.text, "a link was left as it was written"
    assert "http://127.0.0.1:8321" not in page.text
    if "API=" in (FOLDER / f"{name}.md").read_text():
        assert f"API={ADDRESS}/v1" in page.text


def test_what_is_not_served_is_named_by_its_path() -> None:
    text = Page(render("ExporterReadingOld", ADDRESS)).text
    assert "formula of docs/metrics.md" in text
    assert "deploy/prometheus/rules/featuredrift.yml" in text


def test_markup_in_a_page_or_in_the_address_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "# A\n\n<script>alert(1)</script> `http://127.0.0.1:8321` [x](javascript:alert(1))\n"
    monkeypatch.setattr(rendering, "sources", lambda: {"A": text})
    page = Page(rendering.render.__wrapped__("A", 'https://x/"><b onclick="x">'))
    assert "script" not in page.tags
    assert "b" not in page.tags
    assert page.links == []
    assert '"><b onclick="x">' in page.text


@pytest.mark.parametrize("path", ["FeatureDrifted", "FeatureDrifted.md"])
def test_a_page_is_served_with_a_strict_policy(client: TestClient, path: str) -> None:
    answer = client.get(f"/runbooks/{path}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    policy = answer.headers["content-security-policy"]
    style = answer.text.partition("<style>")[2].partition("</style>")[0]
    digest = b64encode(sha256(style.encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")
    assert "unsafe" not in policy


def test_the_index_leads_to_every_page(client: TestClient) -> None:
    answer = client.get("/runbooks")
    assert str(answer.url).endswith("/runbooks/")
    links = {link.removesuffix(".md") for link in Page(answer.text).links}
    assert links == set(NAMES) - {"README"}


@pytest.mark.parametrize("name", ["Nothing", "..%2f..%2fREADME", "FeatureDrifted.md.md"])
def test_an_unknown_page_is_a_problem_that_says_where_to_look(
    client: TestClient, name: str
) -> None:
    answer = client.get(f"/runbooks/{name}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_runbooks_are_where_the_service_is_unless_told_otherwise() -> None:
    assert Settings(public_url=ADDRESS).runbook_url == f"{ADDRESS}/runbooks"
    assert Settings(port=9000).runbook_url == "http://127.0.0.1:9000/runbooks"
    elsewhere = "https://wiki.example.com/runbooks"
    assert Settings(public_url=ADDRESS, runbook_url=elsewhere).runbook_url == elsewhere


def test_a_wheel_has_the_pages(tmp_path: Path) -> None:
    # From a copy of what the images copy: nothing else may be needed, and nothing is left behind.
    source = tmp_path / "source"
    (source / "app").mkdir(parents=True)
    (source / "docs").mkdir()
    for name in ("pyproject.toml", "LICENSE", "README.md"):
        (source / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run(["cp", "-R", ROOT / "app/runbooks", source / "app/runbooks"], check=True)
    subprocess.run(["cp", "-R", FOLDER, source / "docs/runbooks"], check=True)
    assert (source / "app/runbooks/pages").is_symlink()
    (source / "app/__init__.py").touch()
    subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "-c"),
            "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])",
            str(tmp_path),
        ],
        cwd=source,
        check=True,
        capture_output=True,
        timeout=120,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as content:
        assert {f"app/runbooks/pages/{name}.md" for name in NAMES} <= set(content.namelist())
