"""The Markdown form: readable, and nobody's text becomes markup, a link or a mention."""

import re

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from app.reports.markdown import render_markdown
from app.reports.text import markdown
from tests.unit.reports.worlds import HOSTILE, drifted, feature, report, with_features

PARSER = MarkdownIt("commonmark", {"html": True}).enable("table")


def tokens(text: str) -> list[Token]:
    found = []
    for token in PARSER.parse(text):
        found.append(token)
        found.extend(token.children or [])
    return found


def said(text: str) -> str:
    return "".join(token.content for token in tokens(text) if token.type == "text")


@pytest.mark.parametrize("text", HOSTILE)
def test_nobodys_text_becomes_markup(text: str) -> None:
    plain = render_markdown(with_features([drifted("a")])).decode()
    hostile = drifted(
        "a",
        reason=text,
        concept=text,
        definition=text,
        what_breaks_it=[text, text],
        monitoring=[{"about": "watch", "what": text, "why": text}],
    )
    found = render_markdown(with_features([hostile])).decode()
    kinds = [token.type for token in tokens(found)]
    assert not {"html_block", "html_inline", "image", "link_open"} & set(kinds)
    for kind in ("heading_open", "table_open", "tr_open", "td_open", "fence", "list_item_open"):
        assert kinds.count(kind) == [token.type for token in tokens(plain)].count(kind), kind
    assert not re.search(r"@everyone|://evil|#1", said(found))


@pytest.mark.parametrize("text", ["a_b*c", "x < y & z > 1", "50% of 3.5", "1. first", "- item"])
def test_texts_read_as_they_are(text: str) -> None:
    assert said(markdown(text)).replace("\u200b", "") == text


def test_it_opens_with_the_verdict_and_asks_the_questions_in_order() -> None:
    text = render_markdown(with_features([drifted("a"), feature(name="b")])).decode()
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings[0].startswith("# Pass: the one feature is shown to be stable")
    assert [h for h in headings if h.startswith("## ")] == [
        "## In short",
        "## Controls: could the method have failed?",
        "## What changed?",
        "## What broke?",
        "## What should we trust?",
        "## What needs intervention?",
        "## Feature cards",
        "## What the words mean",
        "## Provenance",
    ]


def test_every_row_of_a_table_has_as_many_cells_as_its_head() -> None:
    text = render_markdown(with_features([drifted("a"), feature(name="b")])).decode()
    blocks = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert len(blocks) > 8
    for block in blocks:
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1, block


def test_a_report_without_results_is_short_and_whole() -> None:
    text = render_markdown(report(features=[], stable=[], controls=[], comparisons=[])).decode()
    assert "There is no verdict at all." in text
    assert len(re.findall("^## ", text, re.MULTILINE)) == 8
