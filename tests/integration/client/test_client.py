"""The client against the real API: what a notebook or a training job does with it."""

import asyncio
import threading
from pathlib import Path
from uuid import uuid4

import pytest

from app.client import (
    AsyncClient,
    Client,
    ConflictError,
    InvalidInputError,
    NotFoundError,
    PreconditionError,
    WaitTimeoutError,
)
from app.core.database import Database
from app.settings import Settings
from tests.support.api import DOCUMENTS, finish, make_checkpoint, verdict


def register(client: Client, settings: Settings, name: str = "new") -> str:
    """One more checkpoint; its evaluation's id."""
    source = make_checkpoint(settings.allowed_roots[0] / name)
    registration = client.checkpoints.register("bot", name, source, parent="base")
    assert registration.new
    (evaluation,) = registration.checkpoint.evaluations
    return str(evaluation)


def test_what_was_registered_is_listed_and_read(line: Client) -> None:
    assert [model.name for model in line.models.list()] == ["bot"]
    assert [found.name for found in line.checkpoints.list("bot")] == ["base"]
    assert [(alias.name, alias.checkpoint) for alias in line.aliases.list("bot")] == [
        ("baseline", "base")
    ]
    assert line.corpora.get("probes").documents == len(DOCUMENTS)
    assert [found.name for found in line.dictionaries.list()] == ["layer-1"]
    assert line.feature_sets.get("set").latest_version == 1
    names = [feature.name for feature in line.feature_sets.features("set", 1)]
    assert names == ["number", "up", "both"]
    assert line.monitors.get("watch").feature_set is not None


def test_the_same_again_is_no_error_and_other_content_is(line: Client, tmp_path: Path) -> None:
    source = line.checkpoints.get("bot", "base").source
    assert not line.checkpoints.register("bot", "base", source).new
    with pytest.raises(ConflictError) as caught:
        line.checkpoints.register("bot", "base", source, note="another")
    assert caught.value.status == 409


def test_a_corpus_may_be_lines(client: Client) -> None:
    lines = b'{"id": "a", "text": "Call me at 555-0100."}\n'
    found = client.corpora.create("lines", lines=lines, perturbations=["case"])
    assert found.documents == 2
    assert list(client.corpora.list(digest=found.digest)) == [found]
    with pytest.raises(InvalidInputError):
        client.corpora.create("both", lines=lines, documents=DOCUMENTS)


def test_an_evaluation_is_waited_for_and_its_verdicts_are_read(
    line: Client, settings: Settings, database: Database
) -> None:
    evaluation = register(line, settings)
    words = {"number": "drifted", "up": "stable", "both": "stable"}
    rows = [verdict(name, word) for name, word in words.items()]

    def work() -> None:
        with database.unit_of_work() as session:
            finish(session, evaluation, rows)

    worker = threading.Timer(1.0, work)
    worker.start()
    states = [found.state for found in line.evaluations.watch(evaluation, timeout=30)]
    worker.join()

    assert states == ["queued", "succeeded"]
    drifted = line.evaluations.verdicts(evaluation, verdict="drifted", comparison="baseline")
    assert [row.feature for row in drifted] == ["number"]
    assert len(list(line.evaluations.verdicts(evaluation, page_size=1))) == 3
    gate = line.checkpoints.wait_for_gate("bot", "new", timeout=10)
    assert (gate.gate, gate.reasons[0].features) == ("fail", ["number"])
    (history,) = line.monitors.history("watch")
    assert str(history.evaluation) == evaluation


def test_a_comparison_is_a_table(line: Client, settings: Settings, database: Database) -> None:
    evaluation = register(line, settings)
    rows = [verdict("number", "drifted"), verdict("number", "stable", comparison="previous")]
    with database.unit_of_work() as session:
        finish(session, evaluation, rows)

    found = line.evaluations.comparison(evaluation)

    assert found.to_pandas()["verdict"].to_dict() == {"number": "drifted"}
    assert found.against == "base"
    assert "number" in found._repr_html_()
    step = line.evaluations.comparison(found.evaluation, "previous")
    assert step["number"].verdict == "stable"


def test_more_names_than_one_request_takes_are_asked_for_in_parts(
    line: Client, settings: Settings, database: Database
) -> None:
    evaluation = register(line, settings)
    with database.unit_of_work() as session:
        finish(session, evaluation, [verdict(f"f{n}", "stable") for n in range(130)])

    names = [f"f{n}" for n in range(130)]
    found = line.evaluations.verdicts(evaluation, feature=names)

    assert sorted(row.feature for row in found) == sorted(names)


def test_waiting_has_an_end(line: Client, settings: Settings) -> None:
    evaluation = register(line, settings)
    with pytest.raises(WaitTimeoutError) as caught:
        line.evaluations.wait(evaluation, timeout=0.5)
    assert caught.value.last.state == "queued"
    assert line.checkpoints.wait_for_gate("bot", "new", timeout=0.5).gate == "pending"


def test_an_evaluation_is_cancelled_and_tried_again(line: Client, settings: Settings) -> None:
    evaluation = register(line, settings)
    assert line.evaluations.cancel(evaluation).state == "cancelled"
    assert line.evaluations.wait(evaluation, timeout=5).state == "cancelled"
    assert line.evaluations.retry(evaluation).state == "queued"
    assert [str(found.id) for found in line.evaluations.list(model="bot", state="queued")] == [
        evaluation
    ]
    assert str(line.evaluations.create("watch", "new").id) == evaluation


def test_changes_need_the_version_that_was_read(line: Client) -> None:
    alias = line.aliases.get("bot", "baseline")
    with pytest.raises(PreconditionError):
        line.aliases.put("bot", "baseline", "base", version=alias.version + 1)

    changed = line.monitors.change("watch", enabled=False)
    assert not changed.enabled
    with pytest.raises(PreconditionError):
        line.monitors.change("watch", enabled=True, version=changed.version - 1)
    assert line.checkpoints.mark_benign("bot", "base", by="ada", note="same").benign

    line.aliases.delete("bot", "baseline", version=alias.version)
    with pytest.raises(NotFoundError) as caught:
        line.aliases.get("bot", "baseline")
    assert (caught.value.field, caught.value.value) == ("alias", "baseline")


def test_webhooks_are_made_changed_and_removed(client: Client) -> None:
    made = client.webhooks.create("https://example.com/hook", by="ada", events=["alert.opened"])
    assert made.secret is not None
    changed = client.webhooks.change(made.id, enabled=False, by="ada")
    assert not changed.enabled
    assert list(client.webhooks.deliveries(made.id)) == []
    client.webhooks.delete(made.id, by="ada", version=changed.version)
    assert list(client.webhooks.list()) == []
    assert {event.actor for event in client.audit.list(subject_kind="webhook")} == {"ada"}


def test_unknown_things_are_told_by_field_and_value(client: Client) -> None:
    for ask in (client.alerts.get, client.repairs.get, client.evaluations.get):
        name = str(uuid4())
        with pytest.raises(NotFoundError) as caught:
            ask(name)
        assert caught.value.value == name
    with pytest.raises(InvalidInputError):
        client.evaluations.get("no-uuid")
    assert list(client.alerts.list(state=["open", "acknowledged"])) == []
    assert list(client.repairs.list(state="proposed")) == []


def test_the_asynchronous_client_waits_for_several_at_once(
    line: Client, settings: Settings, database: Database
) -> None:
    evaluations = [register(line, settings, name) for name in ("one", "two")]

    async def ask() -> list[str]:
        async with AsyncClient(line.url) as client:
            waiting = [
                asyncio.create_task(client.evaluations.wait(each, timeout=30))
                for each in evaluations
            ]
            await asyncio.sleep(0.2)
            await asyncio.to_thread(end)
            ended = [found.state for found in await asyncio.gather(*waiting)]
            drifted = [
                row.feature
                async for row in client.evaluations.verdicts(evaluations[0], verdict="drifted")
            ]
            found = await client.evaluations.comparison(evaluations[1])
            return [*ended, *drifted, *(row.verdict for row in found.verdicts)]

    def end() -> None:
        for each in evaluations:
            with database.unit_of_work() as session:
                finish(session, each, [verdict("number", "drifted")])

    assert asyncio.run(ask()) == ["succeeded", "succeeded", "number", "drifted"]
