"""What is registered and noted, on pages: documents, dictionaries, lists with filters."""

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.access import audit
from app.core.database import Database
from app.settings import Settings
from tests.integration.access.conftest import make_key
from tests.integration.access.lines import Line, register
from tests.integration.web.conftest import Browser
from tests.support.api import post

LONG = "é" * 1600 + " the end"


@pytest.fixture
def line(admin: TestClient, locked: Settings, database: Database) -> Line:
    return register(admin, locked, database, "bot")


@pytest.fixture
def overseer(client: TestClient, database: Database) -> Browser:
    """A browser that has signed in with an admin's key."""
    browser = Browser(client, "198.51.100.9")
    assert browser.sign_in(make_key(database, "overseer", "admin")).status_code == 303
    return browser


@pytest.fixture
def corpus(admin: TestClient) -> dict[str, Any]:
    documents: list[dict[str, Any]] = [
        {"id": f"d{i}", "text": f"text of {i}", "labels": {"word": [[0, 4]]}} for i in range(23)
    ]
    documents += [
        {"id": "over", "text": "one two three", "labels": {"a": [[0, 7]], "b": [[4, 13]]}},
        {"id": "whole", "text": "all", "group": "g<1>", "labels": {"a": True, "b": False}},
        {"id": "long", "text": LONG, "labels": {"a": [[1400, 1600]]}},
    ]
    return post(admin, "/v1/corpora", {"name": "probes", "documents": documents})


def stored(locked: Settings, corpus: dict[str, Any]) -> Path:
    return locked.data_dir / "artifacts" / f"corpora/{corpus['digest']}/documents.jsonl"


def test_documents_are_paged_with_their_labels(reader: Browser, corpus: dict[str, Any]) -> None:
    first = reader.get("/corpora/probes").text
    assert "1 to 20 of 26" in first
    assert '<mark><span class="tag">word</span>text</mark> of 0' in first
    assert 'href="/corpora/probes?start=21"' in first
    last = reader.get("/corpora/probes?start=21").text
    assert "21 to 26 of 26" in last
    assert "More documents" not in last
    # Where two spans overlap, each is named where it begins.
    assert (
        '<mark><span class="tag">a</span>one </mark>'
        '<mark class="two"><span class="tag">b</span>two</mark><mark> three</mark>'
    ) in last
    assert 'all of it is <span class="tag">a</span>' in last
    assert "labelled to have no <bdi>b</bdi>" in last
    assert "g&lt;1&gt;" in last
    assert "the end" not in last
    assert "108 more characters" in last
    whole = reader.get("/corpora/probes/documents/26").text
    assert "the end" in whole
    assert "none is numbered 99" in reader.get("/corpora/probes?start=99").text
    assert reader.get("/corpora/probes/documents/27").status_code == 404
    assert reader.get("/corpora/probes?start=0").status_code == 422


def test_a_corpus_is_found_by_its_digest(reader: Browser, corpus: dict[str, Any]) -> None:
    assert "1 to 20 of 26" in reader.get(f"/corpora/{corpus['digest']}").text
    assert reader.get(f"/corpora/{'0' * 64}").status_code == 404


def test_documents_that_are_not_the_registered_ones_are_not_shown(
    reader: Browser, corpus: dict[str, Any], locked: Settings
) -> None:
    path = stored(locked, corpus)
    assert "</mark> of 0" in reader.get("/corpora/probes").text
    path.write_bytes(path.read_bytes().replace(b"text of 0", b"test of 0"))
    for page in ("/corpora/probes", "/corpora/probes/documents/1"):
        shown = reader.get(page)
        assert shown.status_code == 200
        assert "are not the registered ones" in shown.text
        assert corpus["digest"] in shown.text
        assert "</mark> of 0" not in shown.text
    path.unlink()
    assert "not in the artifact store any more" in reader.get("/corpora/probes").text


def test_a_dictionary_shows_its_health_and_its_readers(reader: Browser, line: Line) -> None:
    shown = reader.get("/dictionaries/bot-dictionary").text
    # The line's health is that of a dictionary of another name.
    assert "No checkpoint was measured with it yet" in shown
    assert "No monitor has judged the dictionary as a whole" in shown
    assert line.path('<a href="/features/{feature}"><bdi>number</bdi></a>') in shown
    assert reader.get("/dictionaries/none").status_code == 404


@pytest.mark.parametrize(
    ("query", "there"),
    [
        ("", True),
        ("?state=", True),
        ("?state=resolved", False),
        ("?state=any&severity=&model=bot&subject=number", True),
        ("?monitor=other", False),
        ("?subject_kind=control", False),
    ],
)
def test_alerts_are_filtered(reader: Browser, line: Line, query: str, there: bool) -> None:
    shown = reader.get(f"/alerts{query}")
    assert shown.status_code == 200
    assert (line.path('href="/alerts/{alert}"') in shown.text) is there


@pytest.mark.parametrize(
    ("query", "there"), [("", True), ("?state=accepted", False), ("?monitor=bot-monitor", True)]
)
def test_repairs_are_filtered(reader: Browser, line: Line, query: str, there: bool) -> None:
    shown = reader.get(f"/repairs{query}")
    assert (line.path('href="/repairs/{repair}"') in shown.text) is there


@pytest.mark.parametrize(
    "path",
    ["/alerts?state=none", "/repairs?state=none", "/alerts?cursor=x", "/alerts?model=%00"],
)
def test_a_filter_that_makes_no_sense_is_told_of(reader: Browser, path: str) -> None:
    shown = reader.get(path)
    assert shown.status_code == 422
    assert "<h1>" in shown.text


def test_the_audit_trail_is_paged_and_filtered_for_admins(
    overseer: Browser, reader: Browser, database: Database
) -> None:
    with database.unit_of_work() as session:
        for i in range(3):
            audit.record(
                session,
                actor="<b>eve</b>",
                action="repair.accepted",
                subject_id=f"repair-{i}",
                detail={"note": "<script>", "changed": ["a"]},
                model="bot",
            )
    shown = overseer.get("/audit?actor=%3Cb%3Eeve%3C%2Fb%3E&limit=2").text
    assert "repair-2" in shown
    assert "repair-0" not in shown
    assert "<b>eve" not in shown
    assert "<script>" not in shown
    following = shown.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    assert "repair-0" in overseer.get(following).text
    assert "No entry is like that" in overseer.get("/audit?action=nothing.done").text
    assert reader.get("/audit").status_code == 403
    assert "Audit trail" not in reader.get("/alerts").text
