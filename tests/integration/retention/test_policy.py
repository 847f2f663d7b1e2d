"""Who keeps a snapshot."""

from uuid import UUID

import pytest
from sqlalchemy import update

from app.alerts.tables import Alert
from app.core.database import Database
from app.core.ids import new_id
from app.monitors.tables import Monitor
from app.repairs.tables import Repair
from app.retention import repository
from tests.integration.retention.conftest import Line, folders


def evaluated(line: Line, count: int = 5) -> list[UUID]:
    return [line.evaluate(f"c{index}") for index in range(count)]


def test_without_a_policy_nothing_goes(line: Line) -> None:
    evaluated(line)
    assert line.doomed("policies") == line.doomed("all") == set()
    outcome = line.collect("all")
    assert (outcome.marked, outcome.collected) == (0, 0)
    assert line.states("c0", "baseline", "no_op c0") == ["complete"] * 3


def test_the_newest_and_the_baseline_stay(line: Line) -> None:
    evaluated(line)
    line.policy(keep_last=2)
    assert line.doomed() == folders("c0", "c1", "c2", "no_op c0", "no_op c1", "no_op c2")
    first = line.plan().items[0]
    assert first.bytes == 300
    assert "beyond the newest evaluated checkpoints" in first.reason
    assert line.plan().to_json()["bytes"] == 6 * 300


def test_a_checkpoint_evaluated_again_is_one_of_the_newest(line: Line) -> None:
    evaluated(line)
    line.evaluate("c0")
    line.policy(keep_last=2)
    assert line.doomed() == folders("c1", "c2", "c3", "no_op c1", "no_op c2", "no_op c3")


@pytest.mark.parametrize("state", ["queued", "running"])
def test_an_open_evaluation_keeps_what_it_needs(line: Line, state: str) -> None:
    ids = evaluated(line)
    line.policy(keep_last=1)
    assert folders("c0", "no_op c0") <= line.doomed()
    line.end(ids[0], state)
    assert folders("c0", "no_op c0") & line.doomed() == set()


def test_a_failed_evaluation_since_the_kept_ones_may_be_retried(line: Line) -> None:
    line.evaluate("early", state="failed")
    evaluated(line, 2)
    line.evaluate("late", state="failed")
    line.policy(keep_last=1)
    assert folders("late") & line.doomed() == set()
    assert folders("early", "c0") <= line.doomed()


def test_another_monitor_that_keeps_it_has_the_last_word(line: Line) -> None:
    evaluated(line)
    second = line.another_monitor()
    line.evaluate("c0", monitor_id=second)
    line.policy(keep_last=1)
    assert folders("c0") & line.doomed() == set()
    line.policy(second, keep_last=1)
    assert folders("c0") & line.doomed() == set()
    line.evaluate("c1", monitor_id=second)
    assert folders("c0") <= line.doomed()


@pytest.mark.parametrize(
    ("state", "stays"), [("open", True), ("acknowledged", True), ("resolved", False)]
)
def test_what_an_unresolved_alert_refers_to_stays(
    line: Line, database: Database, state: str, stays: bool
) -> None:
    ids = evaluated(line)
    line.policy(keep_last=1)
    acknowledged = {
        "acknowledged_at": line.moment,
        "acknowledged_by": "kim",
    }
    with database.unit_of_work() as session:
        session.add(
            Alert(
                id=new_id(),
                monitor_id=line.monitor_id,
                subject_kind="feature",
                subject="quotes",
                condition="drifted",
                severity="page",
                state=state,
                resolved_at=line.moment if state == "resolved" else None,
                first_evaluation_id=ids[0],
                last_evaluation_id=ids[1],
                detail="it drifted",
                # The evaluation that its links lead to.
                evidence={"evaluation": str(ids[2])},
                **(acknowledged if state == "acknowledged" else {}),
            )
        )
    for each in ("c0", "c1", "c2"):
        kept = folders(each, f"no_op {each}")
        assert (kept & line.doomed() == set()) is stays
    assert folders("c3") <= line.doomed()


@pytest.mark.parametrize(("state", "stays"), [("proposed", True), ("rejected", False)])
def test_what_a_repair_refers_to_stays(
    line: Line, database: Database, state: str, stays: bool
) -> None:
    ids = evaluated(line)
    line.policy(keep_last=1)
    decided = state == "rejected"
    with database.unit_of_work() as session:
        session.add(
            Repair(
                id=new_id(),
                evaluation_id=ids[0],
                monitor_id=line.monitor_id,
                comparison="baseline",
                state=state,
                features=[],
                changes=[],
                dictionaries=[],
                decided_at=line.moment if decided else None,
                decided_by="kim" if decided else None,
            )
        )
    assert (folders("c0") & line.doomed() == set()) is stays


def test_a_monitor_whose_baseline_names_nothing_keeps_everything(
    line: Line, database: Database
) -> None:
    evaluated(line)
    line.policy(keep_last=1)
    with database.unit_of_work() as session:
        session.execute(update(Monitor).values(baseline={"alias": "production"}))
    plan = line.plan()
    assert not plan.items
    assert "keeps everything" in plan.notes[0]
    assert "'production'" in plan.notes[0]


def test_sizes_count_what_is_in_the_store(line: Line, database: Database) -> None:
    evaluated(line)
    with database.unit_of_work() as session:
        assert [tuple(row)[1:] for row in repository.sizes(session)] == [(11, 3300)]
    line.policy(keep_last=1)
    line.collect()
    with database.engine.connect() as connection:
        assert [tuple(row)[1:] for row in repository.sizes(connection)] == [(3, 900)]
