"""The comment: short, readable, and nothing in it is markup that it did not write itself."""

from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt

from app.cli.check.evidence import Outcome
from app.cli.check.markdown import LIMIT, MARKER, escape, render
from tests.unit.check.outcomes import control, outcome, reason, repair, row

NASTY = [
    "<img src=x onerror=alert(1)>",
    "</details></table><script>alert(1)</script>",
    "[click](https://evil.example)",
    "![x](https://evil.example/p.png)",
    "a | b | c",
    "`code` **bold** _it_ ~~gone~~ # head",
    "line\n# heading\n- item\n\n```\nfence",
    "--> <!-- hidden",
    "&lt;b&gt; &amp; &#64;all",
    "https://evil.example www.evil.example",
    "\u202eright to left\u2066",
    "1. one\n\n    indented",
    "<details open><summary>mine</summary>",
    "$$math$$ \\(x\\) :tada: \\",
]


class Text(HTMLParser):
    """Tags, and the text between them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links.extend(value or "" for name, value in attrs if name in ("href", "src"))

    def handle_data(self, data: str) -> None:
        self.text += data


def read(markdown: str) -> Text:
    """The comment as a browser sees it: GitHub's dialect, raw HTML let through."""
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    found = Text()
    found.feed(parser.render(markdown))
    found.close()
    return found


def seen(text: str) -> str:
    return text.replace("\u200b", "")


def whole(name: str = "phone") -> Outcome:
    return outcome(
        "fail",
        [row(name, "drifted", diagnosis="rotated"), row("mail", "stable")],
        [reason("fail", "drifted", f"1 of 2 have drifted: {name}", features=[name])],
        [control("no_op", False, name)],
        [repair((name, "rotated"))],
        notes=[name],
        baseline=name,
    )


def test_the_comment_says_what_happened_against_what_and_where_to_look() -> None:
    text = render(whole()).decode()
    page = read(text)

    assert text.startswith(MARKER)
    assert len(text.splitlines()) < 25
    assert "Featuredrift: fail for bot v2" in seen(page.text)
    assert "watch against phone: 2 features: 1 stable, 1 drifted" in seen(page.text)
    assert "identity 0.41 [0.28, 0.54], margin 0.2" in seen(page.text)
    assert "repair proposed: phone (rotated)" in seen(page.text)
    assert page.tags.count("details") == page.tags.count("summary") == 1
    assert page.tags.count("table") == 1
    # A person reads them: they lead to pages, not to JSON.
    assert all(link.startswith("https://drift.example/") for link in page.links)
    assert not any("/v1/" in link for link in page.links)
    assert len(page.links) == 4


@pytest.mark.parametrize("text", NASTY)
def test_no_name_becomes_markup(text: str) -> None:
    plain, hurt = read(render(whole()).decode()), read(render(whole(text)).decode())

    assert hurt.tags == plain.tags
    assert hurt.links == plain.links
    printable = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    assert printable in seen(hurt.text)


@pytest.mark.parametrize("text", NASTY)
def test_an_escaped_text_is_one_paragraph_of_itself(text: str) -> None:
    page = read(escape(text))
    assert page.tags == ["p"]


@pytest.mark.parametrize(
    "text", ["@octocat", "#12", "a/b#12", "!7", "GH @team/x", "~bug", ":tada:"]
)
def test_nobody_is_mentioned_and_nothing_referred_to(text: str) -> None:
    shown = read(escape(text)).text
    for sign in "@#!~:":
        assert not any(f"{sign}{letter}" in shown for letter in "ot1278gbx")


def test_a_flood_of_features_stays_below_what_platforms_take() -> None:
    rows = [row("x" * 120 + f"{i}", "drifted", reason="<" * 500) for i in range(400)]
    reasons = [reason("fail", "drifted", "<&>" * 500, features=[r["feature"] for r in rows[:20]])]
    text = render(outcome("fail", rows, reasons, [control("no_op", False, "|" * 999)])).decode()
    assert len(text) <= LIMIT
    assert "more" in text


def test_an_error_is_told_as_an_error() -> None:
    page = read(render(Outcome("error", "bot", "<b>", "", trouble="no API at @here")).decode())
    assert "error for bot <b>" in seen(page.text)
    assert "The gate could not be asked: no API at @here" in seen(page.text)


def test_a_base_that_is_no_plain_web_address_is_no_link() -> None:
    found = whole()
    twisted = Outcome(**{**vars(found), "base": "javascript:alert(1)//"})
    assert read(render(twisted).decode()).links == []
