"""The HTML form: self-contained, small, well-formed, and nobody's text becomes markup."""

import base64
import hashlib
import re
import sys
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from app.reports.html import content_security_policy, render_html
from tests.unit.reports.worlds import (
    HOSTILE,
    drifted,
    feature,
    passage,
    report,
    with_features,
)

_ALLOWED = (
    "html head meta title link style body header main section footer nav article div span p h1 h2 "
    "h3 h4 ul ol li dl dt dd table caption thead tbody tr th td code pre figure a b br figcaption "
    "strong u sup bdi svg g path rect circle line text tspan desc defs clippath polygon polyline "
    "use symbol details summary"
)
ALLOWED = frozenset(_ALLOWED.split())


LONG = ("what_changed", "what_broke", "what_to_trust", "what_needs_intervention")
CONTROLS = [
    {
        **report().controls[0].model_dump(),
        "control": "randomised_model",
        "figures": {"judged": 20, "failed": 1},
    },
    {
        **report().controls[0].model_dump(),
        "control": "numerics",
        "figures": {"sources": {"numerics_dtype": {"moved": 0, "features": 20}}},
    },
]


class Page(HTMLParser):
    """Elements with their attributes, ids, headings and text."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(content.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def ids(self) -> list[str]:
        return [attributes["id"] or "" for _, attributes in self.elements if "id" in attributes]


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(render_html(with_features([drifted("a"), feature(name="b")])))


def test_it_opens_with_the_verdict(page: Page) -> None:
    said = report().headline.sentence
    first = next(i for i, text in enumerate(page.texts) if said in text)
    headings = [tag for tag, _ in page.elements if re.fullmatch(r"h\d", tag)]
    assert headings[0] == "h1"
    assert first < next(i for i, text in enumerate(page.texts) if text == "What changed?")


def test_the_four_questions_stand_in_their_order(page: Page) -> None:
    questions = [
        "What changed?",
        "What broke?",
        "What should we trust?",
        "What needs intervention?",
    ]
    asked = [text for text in page.texts if text in questions]
    assert asked[:4] == questions
    anchors = ("controls", "changed", "broke", "trust", "needed", "cards", "provenance")
    assert [one for one in page.ids if one in anchors] == list(anchors)


def test_it_asks_nobody_for_anything(page: Page) -> None:
    assert {tag for tag, _ in page.elements} <= ALLOWED
    for _, attributes in page.elements:
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        for name in ("src", "href", "xlink:href"):
            value = attributes.get(name)
            assert value is None or value.startswith("#") or value == "data:,"


def test_its_policy_allows_its_own_style_and_nothing_else() -> None:
    text = render_html(report()).decode()
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = content_security_policy()
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:")
    assert policy in text.replace("&#39;", "'")
    assert "url(" not in style
    assert "@import" not in style
    assert "@media print" in style
    assert "prefers-color-scheme:dark" in style


def test_headings_never_skip_a_level_and_cells_have_headers(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h\d", tag)]
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all("scope" in attributes for tag, attributes in page.elements if tag == "th")
    tables = [tag for tag, _ in page.elements if tag in ("table", "caption")]
    assert tables.count("table") == tables.count("caption")


def test_ids_are_unique_and_links_lead_somewhere(page: Page) -> None:
    assert len(page.ids) == len(set(page.ids))
    links = {a["href"] for tag, a in page.elements if tag == "a" and a.get("href")}
    assert {f"#{one}" for one in page.ids} >= links
    labels = {a.get("aria-labelledby") for _, a in page.elements} - {None}
    for label in labels:
        assert set((label or "").split()) <= set(page.ids)


@pytest.mark.parametrize("text", HOSTILE)
def test_nobodys_text_becomes_markup(text: str) -> None:
    plain = drifted("a")
    hostile = drifted(
        "a",
        reason=text,
        concept=text,
        description=text,
        definition=text,
        what_breaks_it=[text],
        robustness=[{"perturbation": text, "pairs": 1, "baseline": 0.1, "candidate": 0.2}],
        passages=[
            {
                **one.model_dump(),
                "document": text,
                "units": [{"text": text, "baseline": 1.0, "candidate": -1.0} for _ in one.units],
            }
            for one in plain.passages
        ],
    )
    want = Page(
        render_html(with_features([drifted("a", passages=hostile.model_dump()["passages"])]))
    )
    found = Page(render_html(with_features([hostile])))
    kinds = {tag for tag, _ in found.elements}
    assert kinds <= ALLOWED
    assert not any(name.startswith("on") for _, a in found.elements for name in a)
    assert [tag for tag, _ in found.elements].count("a") == [tag for tag, _ in want.elements].count(
        "a"
    )


def test_what_turns_text_round_is_named_and_not_obeyed() -> None:
    content = render_html(with_features([drifted("a", reason="see \u202egnp.exe\u2066")])).decode()
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08\x1b]", _without_charts(content))
    assert "⟨U+202E⟩gnp.exe⟨U+2066⟩" in content


def _without_charts(content: str) -> str:
    """Charts isolate names on purpose; what they hold is theirs to test."""
    return re.sub(r"<figure class=chart .*?</figure>", "", content, flags=re.DOTALL)


def test_a_small_report_keeps_all_its_passages() -> None:
    text = render_html(with_features([drifted("a")])).decode()
    assert text.count("<figure>") == 6
    assert "the JSON form of this report has all" not in text


def test_shades_are_told_without_colour() -> None:
    one = passage(units=3)
    text = render_html(with_features([drifted("a", passages=[one.model_dump()])])).decode()
    shaded = re.findall(r'<u class="([pn])(\d)( k)?" title="([^"]+)">', text)
    assert {sign for sign, *_ in shaded} == {"p", "n"}
    assert all(value for *_, value in shaded)
    assert text.count("<sup>") == 2


def test_without_an_interval_it_says_why() -> None:
    line = (
        drifted("a")
        .estimates[0]
        .model_copy(
            update={
                "lower": None,
                "upper": None,
                "interval_missing": "only 3 documents",
                "finding": "open",
            }
        )
    )
    text = render_html(with_features([drifted("a", estimates=[line.model_dump()])])).decode()
    assert "none: only 3 documents" in text


def test_every_picture_stands_where_it_helps_and_its_numbers_beneath() -> None:
    page = Page(render_html(with_features([drifted("a")], controls=CONTROLS)))
    said = " ".join(page.texts)
    charts = [a["aria-label"] for tag, a in page.elements if tag == "figure" and "class" in a]
    assert charts == [
        "What controls must show, and how often they did",
        "Effects and intervals in units of the margin",
        "Drift from the baseline over checkpoints",
        "Verdicts and drift scores over checkpoints",
        "Before and after: a",
    ]
    assert [tag for tag, _ in page.elements].count("details") == 5
    since = said.index("Since when?")
    assert "2026-11-13" in said[since : said.index("What broke?", since)]
    first = render_html(with_features([drifted("a", history=[])])).decode()
    assert "Since when?" not in first


def test_without_what_draws_pictures_the_tables_stay_and_it_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    text = render_html(with_features([drifted("a")], controls=CONTROLS)).decode()
    assert "<svg" not in text
    assert "Pictures are left out" in text
    assert "<details open>" in text
