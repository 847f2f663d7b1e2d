"""Pages are laid out so that MkDocs shows the blocks that everybody else sees."""

import re
from pathlib import Path

import markdown
import pytest
from markdown_it import MarkdownIt

from tests.unit.docs.pages import DOCS
from tools.docs.dialect import for_python_markdown

PAGES = sorted(DOCS.rglob("*.md"))
TAGS = ("li", "ul", "ol", "table", "tr", "pre", "h2", "h3", "strong")


def counts(html: str) -> dict[str, int]:
    return {tag: len(re.findall(f"<{tag}[ >]", html)) for tag in TAGS}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(DOCS).as_posix())
def test_a_page_has_the_same_blocks_on_the_site(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    everywhere = MarkdownIt("commonmark").enable("table").render(text)
    site = markdown.markdown(
        for_python_markdown(text), extensions=["tables", "pymdownx.superfences", "toc"]
    )
    assert counts(site) == counts(everywhere)


def test_what_belongs_to_an_item_stays_with_it() -> None:
    text = "Steps:\n1. first\n   ```\n   code\n   ```\n   more\n2. second\n   - inner\n"
    html = markdown.markdown(for_python_markdown(text), extensions=["pymdownx.superfences"])
    assert counts(html)["ol"] == 1
    assert counts(html)["li"] == 3
    assert counts(html)["pre"] == 1
