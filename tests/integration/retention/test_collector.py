"""Marking, waiting, deleting, and what becomes of those who come meanwhile."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError

from app.core.artifact_locks import hold
from app.core.artifacts import ArtifactStore
from app.core.database import Database
from app.core.errors import ConflictError
from app.evaluations import ledger
from app.evaluations.service import find_view, present
from app.evaluations.snapshots import SnapshotNeed, plan_evaluation
from app.evaluations.tables import Evaluation, EvaluationSnapshot, Shard
from app.retention.rules import Rules
from app.retention.tables import RetentionRun, RetiredArtifact
from tests.integration.retention.conftest import NO_GRACE, Line, key_of

DAY = Rules(grace=timedelta(days=1), leftover_age=timedelta(days=1))


@pytest.fixture
def evaluated(line: Line) -> Line:
    """Three evaluated checkpoints, of which the policy keeps one."""
    for name in ("c0", "c1", "c2"):
        line.evaluate(name)
    line.policy(keep_last=1)
    return line


def plan_again(line: Line, label: str) -> None:
    """A worker plans an evaluation that needs a snapshot."""
    with line.database.unit_of_work() as session:
        first = session.scalars(select(Evaluation).order_by(Evaluation.created_at)).first()
        assert first is not None
        session.execute(
            text("UPDATE evaluations SET state = 'running' WHERE id = :id"), {"id": first.id}
        )
        session.execute(text("DELETE FROM shards WHERE evaluation_id = :id"), {"id": first.id})
        shard = ledger.open_shard(session, kind="plan", evaluation_id=first.id)
    with line.database.unit_of_work() as session:
        claim = ledger.claim(session, shard.id, worker="w", lease_seconds=60, max_attempts=3)
    assert claim is not None
    need = SnapshotNeed("candidate", key_of(label), first.checkpoint_id, {}, {}, [(0, 1)])
    with line.database.unit_of_work() as session:
        plan_evaluation(session, claim, [need])


def test_a_dry_run_changes_nothing(evaluated: Line) -> None:
    before = evaluated.doomed()
    assert evaluated.doomed() == before
    assert len(before) == 4
    assert evaluated.states("c0", "c1") == ["complete", "complete"]
    assert evaluated.find("c0").marked_at is None  # type: ignore[union-attr]


def test_it_marks_waits_and_deletes(evaluated: Line) -> None:
    outcome = evaluated.collect(rules=DAY)
    assert (outcome.marked, outcome.collected, outcome.waiting) == (4, 0, 4)
    assert evaluated.files("c0") == 3
    item = next(one for one in evaluated.plan(rules=DAY).items if key_of("c0") in one.key)
    assert item.marked_at is not None
    assert item.due_at == item.marked_at + timedelta(days=1)
    outcome = evaluated.collect()
    assert (outcome.marked, outcome.collected, outcome.bytes) == (0, 4, 1200)
    assert evaluated.states("c0", "c1", "c2", "baseline") == [
        "collected",
        "collected",
        "complete",
        "complete",
    ]
    assert [evaluated.files(name) for name in ("c0", "c1", "c2", "baseline")] == [0, 0, 3, 3]
    again = evaluated.collect()
    assert (again.marked, again.collected) == (0, 0)
    with evaluated.database.unit_of_work() as session:
        runs = session.scalars(select(RetentionRun)).all()
    assert all(run.finished_at is not None for run in runs)


def test_an_evaluation_without_its_snapshots_still_answers(evaluated: Line) -> None:
    evaluated.collect()
    with evaluated.database.unit_of_work() as session:
        first = session.scalars(select(Evaluation).order_by(Evaluation.created_at)).first()
        assert first is not None
        answer = present(find_view(session, first.id))
    assert answer.state == "succeeded"
    assert answer.collected == ["candidate", "no_op"]


def test_what_is_kept_again_loses_its_mark(evaluated: Line) -> None:
    evaluated.collect(rules=DAY)
    evaluated.policy(keep_last=None)
    outcome = evaluated.collect(rules=NO_GRACE)
    assert (outcome.unmarked, outcome.collected) == (4, 0)
    assert evaluated.states("c0") == ["complete"]


def test_a_worker_that_plans_takes_the_mark_off(evaluated: Line) -> None:
    evaluated.collect(rules=DAY)
    plan_again(evaluated, "c0")
    snapshot = evaluated.find("c0")
    assert snapshot is not None
    assert (snapshot.state, snapshot.marked_at) == ("complete", None)
    evaluated.collect()
    assert evaluated.files("c0") == 3


def test_a_collected_snapshot_is_captured_again(evaluated: Line) -> None:
    evaluated.collect()
    plan_again(evaluated, "c0")
    snapshot = evaluated.find("c0")
    assert snapshot is not None
    assert (snapshot.state, snapshot.collected_at) == ("pending", None)
    with evaluated.database.unit_of_work() as session:
        shards = session.scalars(select(Shard).where(Shard.snapshot_id == snapshot.id)).all()
    assert [shard.state for shard in shards] == ["queued"]
    evaluated.collect()
    assert evaluated.states("c0") == ["pending"]


def test_a_worker_waits_for_a_collector_that_is_deleting(
    evaluated: Line, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It then finds the snapshot collected, and captures it; the deletion touches nothing new."""
    monkeypatch.setattr("app.core.faults._FOLDER", str(tmp_path))
    (tmp_path / "collector-deleting.always").write_text("sleep 0.5")
    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(evaluated.collect)
        while evaluated.states("c0") != ["collected"]:
            time.sleep(0.01)
        plan_again(evaluated, "c0")
        evaluated.store.write_bytes(f"snapshots/{key_of('c0')}/shard-00000.json", b"new")
        (tmp_path / "collector-deleting.always").unlink()
        work.result()
    assert evaluated.states("c0") == ["pending"]
    assert evaluated.store.read_bytes(f"snapshots/{key_of('c0')}/shard-00000.json") == b"new"


def test_two_collectors_do_not_work_at_once(
    evaluated: Line, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("app.core.faults._FOLDER", str(tmp_path))
    (tmp_path / "collector-marked.one").write_text("sleep 2")
    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(evaluated.collect)
        while (tmp_path / "collector-marked.one").exists():
            time.sleep(0.01)
        with pytest.raises(ConflictError, match="another collector"):
            evaluated.collect()
        assert work.result().collected == 4
    assert evaluated.collect().collected == 0


def test_rows_of_snapshots_that_no_evaluation_names_go_last(evaluated: Line) -> None:
    with evaluated.database.unit_of_work() as session:
        session.execute(text("DELETE FROM evaluation_snapshots"))
    assert evaluated.doomed("policies") == set()
    outcome = evaluated.collect("all")
    assert outcome.rows == outcome.collected == 7
    assert evaluated.states("c0", "baseline") == [None, None]


def age(store: ArtifactStore, root: Path, key: str, days: float = 2) -> None:
    """A file that was written some days ago."""
    store.write_bytes(key, b"12345")
    moment = time.time() - days * 86400
    os.utime(root / key, (moment, moment))


def test_leftovers_go_and_the_unknown_stays(
    line: Line, database: Database, store: ArtifactStore, tmp_path: Path
) -> None:
    root = tmp_path / "artifacts"
    line.evaluate("c0")
    used, orphan = f"tokens/{key_of('tokens')}.safetensors", f"tokens/{key_of('o')}.safetensors"
    gone = [
        orphan,
        f"corpora/{key_of('o')}/documents.jsonl",
        f"dictionaries/{key_of('o')}/cfg.json",
        f"dictionaries/{key_of('o')}/sae_weights.safetensors",
        "evaluations/00000000-0000-7000-8000-000000000000/baseline.parquet",
        f"snapshots/{key_of('nobody')}/manifest.json",
        f"tokens/.{key_of('t')}.safetensors.{'0' * 32}.tmp",
    ]
    stays = [
        used,
        "notes.txt",
        "tokens/readme.md",
        "mine/manifest.json",
        "corpora/short/documents.jsonl",
    ]
    for key in gone + stays:
        age(store, root, key)
    young = f"corpora/{key_of('young')}/documents.jsonl"
    store.write_bytes(young, b"12345")
    cache = f"controls/{key_of('cache')}.json"
    age(store, root, cache, days=40)
    age(store, root, recent := f"controls/{key_of('recent')}.json", days=20)
    rules = Rules(grace=timedelta(0), leftover_age=timedelta(days=1))
    assert line.collect("policies", rules).collected == 0
    plan = line.plan("all", rules)
    assert {"tokens/readme.md", "corpora/short/documents.jsonl"} == set(plan.unknown)
    outcome = line.collect("all", rules)
    assert outcome.collected == 7  # two of the files are one dictionary; one is a cache
    assert [key for key in [*gone, cache] if store.exists(key)] == []
    assert [key for key in [*stays, young, recent] if not store.exists(key)] == []
    assert line.files("c0") == 3
    with database.unit_of_work() as session:
        assert session.scalars(select(RetiredArtifact)).all() == []


def test_an_artifact_that_is_referred_to_again_stays(
    line: Line, database: Database, store: ArtifactStore, tmp_path: Path
) -> None:
    key = f"corpora/{key_of('o')}/documents.jsonl"
    age(store, tmp_path / "artifacts", key)
    assert line.collect("all", DAY).marked == 1
    with database.unit_of_work() as session:
        hold(session, [key])
        session.execute(text("UPDATE corpora SET artifact_key = :key"), {"key": key})
    assert line.collect("all", Rules(timedelta(0), timedelta(days=1))).collected == 0
    assert store.exists(key)
    assert line.collect("all", DAY).waiting == 0


def test_tables_of_all_latents_go_by_their_own_number(
    line: Line, database: Database, store: ArtifactStore
) -> None:
    ids = [line.evaluate(f"c{index}") for index in range(3)]
    with database.unit_of_work() as session:
        session.execute(
            text(
                "INSERT INTO dictionaries (id, name, site, source) "
                "VALUES (gen_random_uuid(), 'sae', 'x', '/nowhere')"
            )
        )
        session.execute(
            text("UPDATE evaluations SET dictionary_id = (SELECT id FROM dictionaries)")
        )
    for evaluation in ids:
        store.write_bytes(f"evaluations/{evaluation}/baseline.parquet", b"1234")
        store.write_bytes(f"evaluations/{evaluation}/baseline.passages.json", b"{}")
    line.policy(keep_last_tables=1)
    assert line.collect().collected == 2
    assert [store.exists(f"evaluations/{one}/baseline.parquet") for one in ids] == [
        False,
        False,
        True,
    ]
    assert all(store.exists(f"evaluations/{one}/baseline.passages.json") for one in ids)
    with database.unit_of_work() as session:
        assert session.get_one(Evaluation, ids[0]).summary == {"tables_collected": True}
        assert session.get_one(Evaluation, ids[2]).summary is None
        assert session.scalars(select(EvaluationSnapshot)).all()


def test_a_collector_that_lost_its_lock_deletes_nothing_more(
    evaluated: Line, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("app.core.faults._FOLDER", str(tmp_path))
    (tmp_path / "collector-deleting.one").write_text("sleep 1")
    labels = ("c0", "c1", "no_op c0", "no_op c1")
    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(evaluated.collect)
        while (tmp_path / "collector-deleting.one").exists():
            time.sleep(0.01)
        with evaluated.database.unit_of_work() as session:
            session.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE state = 'idle in transaction' AND datname = current_database()"
                )
            )
        with pytest.raises(OperationalError):
            work.result()
    assert sorted(evaluated.files(name) for name in labels) == [2, 3, 3, 3]
    assert evaluated.collect().collected == 4
    assert [evaluated.files(name) for name in labels] == [0, 0, 0, 0]
