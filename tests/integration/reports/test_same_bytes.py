"""The same evaluation gives the same bytes: in any process, and whatever happens afterwards."""

import json
import os
import subprocess
import sys
from pathlib import Path

from fastapi.testclient import TestClient
from sqlalchemy import update

from app.embedded.environment import child_environment
from app.repairs import service as repairs
from app.repairs.schemas import Decision
from app.repairs.tables import Repair
from tests.integration.reports.conftest import Line
from tests.integration.reports.reading import by_name, digests, rendered

ROOT = Path(__file__).parents[3]


_RENDER = """
import json
import sys
from uuid import UUID
from app.core.artifacts import ArtifactStore
from app.core.database import Database, make_engine
from app.settings import get_settings
from tests.integration.reports.reading import digests, rendered

settings = get_settings()
database = Database(make_engine(settings, application="tests"))
store = ArtifactStore(settings.artifacts)
print(json.dumps([digests(rendered(database, store, UUID(one))) for one in sys.argv[1:]]))
"""


def test_two_processes_give_the_same_bytes(judged: Line) -> None:
    """Of which the other one has another order of sets."""
    world = judged.world
    seed = "1" if os.environ.get("PYTHONHASHSEED") == "2" else "2"
    identities = [judged.evaluations[name] for name in ("drifted", "whole")]
    done = subprocess.run(
        [sys.executable, "-c", _RENDER, *map(str, identities)],
        env=child_environment(world.settings) | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
    )
    here = [digests(rendered(world.database, world.store, one)) for one in identities]
    assert json.loads(done.stdout.splitlines()[-1]) == here


def test_later_evaluations_change_no_byte(client: TestClient, judged: Line) -> None:
    checkpoints, world, calm = judged.checkpoints, judged.world, judged.evaluations["calm"]
    before = rendered(world.database, world.store, calm)
    again = world.evaluate(judged.monitor, checkpoints["rotated"], checkpoints["base"])
    assert world.wait(again, timeout=240).state == "succeeded"
    assert rendered(world.database, world.store, calm) == before
    history = by_name(client.get(f"/v1/evaluations/{again}/report").json())["direction"]["history"]
    assert len(history) == 2


def test_a_decision_on_its_repair_changes_no_byte(client: TestClient, judged: Line) -> None:
    world, identity = judged.world, judged.evaluations["drifted"]
    before = rendered(world.database, world.store, identity)
    repair = json.loads(before["json"])["repair"]["repair"]
    with world.database.unit_of_work() as session:
        repairs.accept(session, repair, Decision(by="ada", note="read it"))
    try:
        assert rendered(world.database, world.store, identity) == before
        shown = client.get(f"/v1/repairs/{repair}").json()
        assert (shown["state"], shown["decided_by"]) == ("accepted", "ada")
    finally:
        with world.database.unit_of_work() as session:
            session.execute(
                update(Repair)
                .where(Repair.id == repair)
                .values(
                    state="proposed",
                    decided_at=None,
                    decided_by=None,
                    note=None,
                    feature_set_version_id=None,
                )
            )
