"""How models stand: the gate's own answer for each, gathered for all of them at once."""

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from app.core.database import Database
from app.main import create_app
from app.registry.repository.models import list_models
from app.registry.tables import Checkpoint, Model
from app.settings import Settings
from app.verdicts.service import gate_of
from app.web.standing import standings
from tests.integration.exporter.rows import (
    add_control,
    add_evaluation,
    add_monitor,
    add_verdict,
)
from tests.support.statements import statements


def add_models(database: Database, first: int, last: int) -> None:
    """Models of which every one stands otherwise than the next."""
    with database.unit_of_work() as session:
        for number in range(first, last):
            monitor = add_monitor(session, model=f"m{number}", monitor=f"w{number}", watch=[])
            add_verdict(session, add_evaluation(session, monitor, "v1"), "number", "stable")
            kind = number % 6
            if kind == 0:
                judged = add_evaluation(session, monitor, "v2")
                for feature in range(3):
                    add_verdict(session, judged, f"f{number}-{feature}", "drifted", paged=True)
                add_control(session, judged, passed=False)
            elif kind == 1:
                add_verdict(session, add_evaluation(session, monitor, "v2"), "number", "stable")
                monitor.baseline = {"alias": "production"}
            elif kind == 2:
                add_evaluation(session, monitor, "v2", state="running")
                monitor.baseline = {"alias": "gone"}
            elif kind == 3:
                monitor.baseline = {"checkpoint": "gone"}
            elif kind == 4:
                summary = {"comparisons": {"baseline": {"counts": {"stable": 9}}}}
                judged = add_evaluation(session, monitor, "v2", summary=summary)
                monitor.baseline = {"checkpoint": "v2"}
            else:
                monitor.enabled = False


@pytest.mark.parametrize("path", ["/", "/models?limit=100"])
def test_a_page_of_many_models_asks_no_more_than_one_of_few(
    settings: Settings, database: Database, path: str
) -> None:
    asked = []
    for first, last in ((0, 6), (6, 36)):
        add_models(database, first, last)
        with TestClient(create_app(settings)) as client:
            client.get(path)
            with statements(client.app.state.database) as seen:  # type: ignore[attr-defined]
                answer = client.get(path)
            assert answer.status_code == 200
            assert f"m{last - 1}" in answer.text
            asked.append(len(seen))
    assert asked[0] == asked[1] <= 30


def test_all_at_once_stand_as_each_by_itself(database: Database) -> None:
    add_models(database, 0, 12)
    with database.unit_of_work() as session:
        models = list_models(session, None, 12)
        found = {standing.model.name: standing for standing in standings(session, models)}
        newest = {
            model.name: gate_of(session, model, checkpoint)
            for model, checkpoint in session.execute(
                select(Model, Checkpoint).join(Checkpoint, Checkpoint.model_id == Model.id)
            )
            if checkpoint.name == "v2"
        }
        assert {name: standing.gate for name, standing in found.items()} == newest
    outcomes = [found[f"m{number}"].outcome for number in range(6)]
    assert outcomes == ["fail", "pass", "pending", "inconclusive", "pass", "unknown"]
    assert newest["m6"].reasons[0].features == ["f6-0", "f6-1", "f6-2"]
    assert "'gone'" in newest["m2"].monitors[0].notes[0]
    assert "'gone'" in newest["m3"].reasons[0].detail
    assert "'v2' by now" in newest["m4"].monitors[0].notes[0]
