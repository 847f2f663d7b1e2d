"""What the main pages say: of a line that was judged, of one that is being, of one that failed."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select, update
from sqlalchemy.exc import InternalError

from app.core.clock import now
from app.core.database import Database
from app.evaluations.tables import Evaluation, Shard
from app.main import create_app
from app.monitors.tables import Monitor
from app.registry.tables import Checkpoint, Feature, Model
from app.settings import Settings
from tests.support.api import finish, post, register_checkpoint, register_line, verdict

HOSTILE = "<script>alert(1)</script>\u202e&amp;\"'"
LINE = "/models/bot/monitors/watch"


@pytest.fixture
def site(settings: Settings) -> Iterator[TestClient]:
    """Pages of a server that needs no keys."""
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def line(site: TestClient, settings: Settings) -> TestClient:
    register_line(site, settings)
    return site


def evaluate(
    line: TestClient, settings: Settings, database: Database, name: str, *rows: dict[str, Any]
) -> str:
    """A checkpoint that has been judged."""
    (evaluation,) = register_checkpoint(line, settings, name)["evaluations"]
    control = {"control": "no_op", "passed": True, "detail": "the same bytes", "figures": {}}
    with database.unit_of_work() as session:
        finish(session, evaluation, list(rows), controls=[control])
    return str(evaluation)


def shown(client: TestClient, path: str, status: int = 200) -> str:
    """A page's HTML, which is whole: every element that is opened is closed, ids stand once."""
    response = client.get(path)
    assert response.status_code == status, response.text
    Whole(response.text)
    return str(response.text)


class Whole(HTMLParser):
    """Checks what every page owes to whoever reads it."""

    VOID = frozenset({"meta", "link", "input", "br"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.headings: list[int] = []
        self.ids: list[str] = []
        self.feed(html)
        assert self.open == []
        assert self.headings[:1] == [1]
        assert self.headings.count(1) == 1
        steps = zip(self.headings, self.headings[1:], strict=False)
        assert all(after <= before + 1 for before, after in steps), self.headings
        assert len(self.ids) == len(set(self.ids))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        assert "style" not in given, (tag, given)
        assert not any(name.startswith("on") for name in given)
        if tag == "script":
            assert (given.get("src") or "").startswith("/static/")
        if found := re.fullmatch(r"h([1-6])", tag):
            self.headings.append(int(found[1]))
        if "id" in given:
            self.ids.append(given["id"] or "")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1:] == [tag], (tag, self.open)
        self.open.pop()


def test_without_anything_pages_say_what_to_do(site: TestClient) -> None:
    assert "featuredrift demo" in shown(site, "/")
    assert "featuredrift models create" in shown(site, "/models")
    post(site, "/v1/models", {"name": "bare"})
    assert "No checkpoint is registered" in shown(site, "/models/bare")
    assert "No checkpoint is registered yet" in shown(site, "/")


def test_a_drifted_checkpoint_is_told_on_every_page(
    line: TestClient, settings: Settings, database: Database
) -> None:
    evaluate(line, settings, database, "good", verdict("up", "stable"), verdict("number", "stable"))
    with database.unit_of_work() as session:
        feature = session.scalars(select(Feature.id).where(Feature.name == "up")).one()
    bad = verdict(
        "up",
        "drifted",
        feature_id=feature,
        effect=0.5,
        lower=0.4,
        upper=0.6,
        paged=True,
        diagnosis="rotated",
        estimates={"identity_sparse": {"effect": 0.5, "lower": 0.4, "upper": 0.6, "margin": 0.2}},
        controls={"numerics": {"passed": None, "detail": "not told here", "figures": {}}},
    )
    evaluation = evaluate(line, settings, database, "bad", bad, verdict("number", "stable"))

    home = shown(line, "/")
    assert "1 model of 1 fails the gate." in home
    assert '<span aria-hidden="true">▲</span> fail</span>' in home
    assert "1 of 2 features have drifted" in shown(line, "/models/bot/checkpoints/bad")
    assert "Nothing speaks against it" in shown(line, "/models/bot/checkpoints/good")
    model = shown(line, "/models/bot")
    assert f"/evaluations/{evaluation}" in model
    assert "1 drifted" in model
    monitor = shown(line, LINE)
    assert monitor.count("<svg") == 2
    assert "0.4 to 0.6" in monitor
    assert "1 of 1 held" in monitor
    page = shown(line, f"/evaluations/{evaluation}")
    assert "wakes" in page
    assert "the same bytes" in page
    assert 'id="live"' not in page
    history = shown(line, f"/features/{feature}")
    assert history.count("<svg") == 1
    assert "identity sparse" in history
    assert "not told here" in history
    assert f'href="{LINE}"' in history
    report = line.get(f"/evaluations/{evaluation}/report")
    assert report.headers["content-type"] == "text/html; charset=utf-8"
    assert "frame-ancestors 'none'" in report.headers["content-security-policy"]
    forms = {"md": "text/markdown; charset=utf-8", "json": "application/json"}
    for form, kind in forms.items():
        other = line.get(f"/evaluations/{evaluation}/report", params={"form": form})
        assert (other.status_code, other.headers["content-type"]) == (200, kind)


def test_verdicts_are_chosen_and_paged(
    line: TestClient, settings: Settings, database: Database
) -> None:
    rows = [verdict(f"f{n}", "drifted", effect=0.3 + n / 100, reason=f"why-{n}") for n in range(5)]
    rows += [verdict("calm", "stable", reason="why-calm"), verdict("f1", "stable", reason="step-1")]
    rows[-1]["comparison"] = "previous"
    here = f"/evaluations/{evaluate(line, settings, database, 'next', *rows)}"

    assert "why-calm" not in shown(line, f"{here}?verdict=drifted")
    assert "why-0" in shown(line, f"{here}?verdict=&comparison=baseline")
    only = shown(line, f"{here}?feature=f3")
    assert "why-3" in only
    assert "why-1" not in only
    assert "step-1" in shown(line, f"{here}?comparison=previous")
    assert "No verdict is of that kind." in shown(line, f"{here}?verdict=untrusted")
    seen, path = [], f"{here}?limit=2&verdict=drifted"
    while path:
        page = shown(line, path)
        seen += re.findall(r"why-(\d)", page)
        following = re.search(r'rel="next" href="([^"]+)"', page)
        path = following[1].replace("&amp;", "&") if following else ""
    assert seen == ["4", "3", "2", "1", "0"]
    assert "Something in that request is not right" in shown(line, f"{here}?verdict=odd", 422)
    assert "the cursor was not made by this list" in shown(line, f"{here}?cursor=odd", 422)


def test_an_open_evaluation_shows_how_far_it_is(
    line: TestClient, settings: Settings, database: Database
) -> None:
    (evaluation,) = register_checkpoint(line, settings, "next")["evaluations"]
    waiting = shown(line, f"/evaluations/{evaluation}")
    assert "waiting for a worker" in waiting
    assert "not known yet" in waiting
    with database.unit_of_work() as session:
        session.execute(update(Evaluation).values(state="running", started_at=now()))
        session.execute(update(Shard).values(state="succeeded", finished_at=now()))
    running = shown(line, f"/evaluations/{evaluation}")
    assert "1 of 1" in running
    assert "/static/live.js?v=" in running
    assert "pending" in shown(line, "/models/bot")
    assert f"/evaluations/{evaluation}" in shown(line, "/")


def test_a_failed_evaluation_says_why_and_what_to_do(
    line: TestClient, settings: Settings, database: Database
) -> None:
    (evaluation,) = register_checkpoint(line, settings, "next")["evaluations"]
    with database.unit_of_work() as session:
        session.execute(
            update(Evaluation).values(state="failed", error={"code": "odd", "detail": HOSTILE})
        )

    page = shown(line, f"/evaluations/{evaluation}")

    assert f"featuredrift evaluations retry {evaluation}" in page
    assert "&lt;script&gt;alert(1)" in page
    for path in ("/", "/models/bot", "/models/bot/checkpoints/next", LINE):
        assert "<script>alert" not in shown(line, path)


def test_what_people_and_models_have_named_is_text(
    line: TestClient, settings: Settings, database: Database
) -> None:
    (evaluation,) = register_checkpoint(line, settings, "next")["evaluations"]
    hostile = verdict(HOSTILE, "drifted", reason=HOSTILE, diagnosis_evidence={"reason": HOSTILE})
    summary = {"comparisons": {"baseline": {"counts": {"drifted": 1}, "notes": [HOSTILE]}}}
    with database.unit_of_work() as session:
        control = {"control": "no_op", "passed": False, "detail": HOSTILE, "figures": {}}
        finish(session, evaluation, [hostile], controls=[control], summary=summary)
        session.execute(update(Checkpoint).values(note=HOSTILE, source=HOSTILE))
        session.execute(update(Monitor).values(description=HOSTILE))
        session.execute(update(Model).values(description=HOSTILE))

    for path in ("/", "/models", "/models/bot", "/models/bot/checkpoints/next", LINE):
        text = shown(line, path)
        assert "<script>alert" not in text, path
        assert "\u202e" not in text.partition("<svg")[0], path
    text = shown(line, f"/evaluations/{evaluation}")
    assert "&lt;script&gt;" in text
    assert "⟨U+202E⟩" in text


def test_a_monitor_is_found_under_its_own_model_alone(line: TestClient) -> None:
    post(line, "/v1/models", {"name": "other"})

    assert "There is nothing here" in shown(line, "/models/other/monitors/watch", 404)
    assert "There is nothing here" in shown(line, "/models/bot/monitors/none", 404)
    assert "has no checkpoint" in shown(line, "/models/bot/checkpoints/none", 404)
    for path in ("/evaluations/x", f"/evaluations/{UUID(int=1)}", f"/features/{UUID(int=1)}"):
        assert line.get(path).status_code in {404, 422}
    assert line.post("/models").status_code == 405


def test_looking_changes_nothing(line: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a page's code comes to call, its transaction refuses to write."""
    refused = []

    def write(session: Any, *_args: object) -> Any:
        try:
            session.execute(update(Model).values(description="changed"))
        except InternalError as error:
            refused.append(str(error))
            raise
        return []

    monkeypatch.setattr("app.registry.repository.models.list_models", write)

    page = shown(line, "/", 500)

    assert "Something went wrong here" in page
    assert "read-only" in refused[0]
    assert "changed" not in shown(line, "/models/bot")
