"""Snapshots shared by evaluations: computed once, awaited by many, and nobody waits for ever."""

import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from app.core.database import Database
from app.evaluations import ledger, snapshots
from app.evaluations.ledger import StaleAttempt
from tests.integration.ledger.conftest import ERROR, Actor


def _comparing(actor: Actor, evaluation_id: UUID) -> bool:
    opened = len(actor.shards(evaluation_id=evaluation_id, kind="compare"))
    assert opened in (0, 1)
    assert actor.evaluation(evaluation_id).step == ("compare" if opened else "capture")
    return bool(opened)


def _release(database: Database) -> None:
    with database.unit_of_work() as session:
        ids = snapshots.unneeded(session)
    for snapshot_id in ids:
        with database.unit_of_work() as session:
            snapshots.release_unneeded(session, snapshot_id)


def test_the_comparison_opens_when_the_last_snapshot_is_complete(actor: Actor) -> None:
    evaluation_id = actor.planned({"candidate": "c", "baseline": "b"}, shards=2)
    assert [len(actor.shards_of(key)) for key in "bc"] == [2, 2]
    actor.capture_all("b")
    assert actor.snapshot("b").state == "complete"
    assert not _comparing(actor, evaluation_id)
    actor.capture_all("c")
    assert _comparing(actor, evaluation_id)


def test_two_evaluations_share_one_snapshot(actor: Actor) -> None:
    first = actor.planned({"candidate": "c1", "baseline": "b"}, shards=2)
    second = actor.planned({"candidate": "c2", "baseline": "b"}, shards=2)
    assert len(actor.shards_of("b")) == 2
    for key in ("b", "c1", "c2"):
        actor.capture_all(key)
    assert _comparing(actor, first)
    assert _comparing(actor, second)


def test_what_is_complete_already_is_compared_at_once(actor: Actor) -> None:
    actor.planned({"candidate": "c", "baseline": "c"})
    actor.capture_all("c")
    assert _comparing(actor, actor.planned({"candidate": "c", "baseline": "c"}))


def test_a_complete_snapshot_whose_files_are_gone_is_captured_again(actor: Actor) -> None:
    actor.planned({"candidate": "c"})
    actor.capture_all("c")
    evaluation_id = actor.accept()
    (shard,) = actor.shards(evaluation_id=evaluation_id)
    claim = actor.claimed(shard.id)
    with actor.database.unit_of_work() as session:
        need = snapshots.SnapshotNeed(
            "candidate", "c", actor.snapshot("c").checkpoint_id, {}, {}, [(0, 3)]
        )
        snapshots.plan_evaluation(session, claim, [need], vanished={"c"})
    assert actor.snapshot("c").state == "pending"
    assert [(s.state, s.stop_batch) for s in actor.shards_of("c")] == [("queued", 3)]


def test_of_two_last_shards_exactly_one_completes_the_snapshot(actor: Actor) -> None:
    for round_ in range(10):
        key = f"k{round_}"
        evaluation_id = actor.planned({"candidate": key}, shards=2)
        claims = [actor.claimed(shard.id) for shard in actor.shards_of(key)]
        start = threading.Barrier(2)

        def finish(claim: ledger.Claim, start: threading.Barrier = start) -> bool:
            start.wait()
            return actor.finish_capture(claim)

        with ThreadPoolExecutor(2) as pool:
            last = list(pool.map(finish, claims))
        assert sorted(last) == [False, True]
        assert _comparing(actor, evaluation_id)


def test_two_snapshots_that_complete_together_open_one_comparison(actor: Actor) -> None:
    for round_ in range(10):
        keys = [f"b{round_}", f"c{round_}"]
        evaluation_id = actor.planned({"baseline": keys[0], "candidate": keys[1]})
        claims = [actor.claimed(actor.shards_of(key)[0].id) for key in keys]
        start = threading.Barrier(2)

        def finish(claim: ledger.Claim, start: threading.Barrier = start) -> bool:
            start.wait()
            return actor.finish_capture(claim)

        with ThreadPoolExecutor(2) as pool:
            assert all(pool.map(finish, claims))
        assert _comparing(actor, evaluation_id)


def test_an_evaluation_that_links_while_its_snapshot_completes_is_not_forgotten(
    actor: Actor,
) -> None:
    for round_ in range(10):
        key = f"k{round_}"
        first = actor.planned({"candidate": key})
        capture = actor.claimed(actor.shards_of(key)[0].id)
        second = actor.accept()
        plan = actor.claimed(actor.shards(evaluation_id=second)[0].id)
        start = threading.Barrier(2)

        def complete(start: threading.Barrier = start, capture: ledger.Claim = capture) -> None:
            start.wait()
            assert actor.finish_capture(capture)

        def link(
            start: threading.Barrier = start, plan: ledger.Claim = plan, key: str = key
        ) -> None:
            start.wait()
            actor.plan(plan, {"candidate": key})

        with ThreadPoolExecutor(2) as pool:
            for future in [pool.submit(complete), pool.submit(link)]:
                future.result()
        assert _comparing(actor, first)
        assert _comparing(actor, second)


def test_many_plans_of_the_same_snapshots_neither_duplicate_nor_deadlock(actor: Actor) -> None:
    evaluations = [actor.accept() for _ in range(8)]
    claims = [actor.claimed(actor.shards(evaluation_id=e)[0].id) for e in evaluations]
    orders = ({"baseline": "b", "candidate": "c"}, {"candidate": "c", "baseline": "b"})
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda x: actor.plan(x[1], orders[x[0] % 2], 3), enumerate(claims)))
    assert [len(actor.shards_of(key)) for key in "bc"] == [3, 3]


def test_a_permanent_failure_ends_every_evaluation_that_waits_for_it(actor: Actor) -> None:
    first = actor.planned({"candidate": "c1", "baseline": "b"}, shards=2)
    second = actor.planned({"candidate": "c2", "baseline": "b"})
    other = actor.planned({"candidate": "c2"})
    actor.fail(actor.claimed(actor.shards_of("b")[0].id))
    for evaluation_id in (first, second):
        evaluation = actor.evaluation(evaluation_id)
        assert (evaluation.state, evaluation.error) == ("failed", ERROR)
        assert evaluation.finished_at is not None
    assert actor.evaluation(other).state == "queued"
    assert actor.snapshot("b").error == ERROR
    assert [shard.state for shard in actor.shards_of("b")] == ["failed", "cancelled"]


def test_a_broken_previous_checkpoint_costs_the_step_comparison_alone(actor: Actor) -> None:
    broken = actor.planned({"candidate": "p", "baseline": "b"})
    following = actor.planned({"candidate": "c", "baseline": "b", "previous": "p"})
    waiting = actor.planned({"candidate": "c2", "baseline": "b", "previous": "p"})
    same = actor.planned({"candidate": "c2", "baseline": "p", "previous": "p"})
    for key in ("b", "c"):
        actor.capture_all(key)
    actor.fail(actor.claimed(actor.shards_of("p")[0].id))
    assert [actor.evaluation(e).state for e in (broken, same)] == ["failed", "failed"]
    for evaluation_id in (following, waiting):
        evaluation = actor.evaluation(evaluation_id)
        assert (evaluation.state, evaluation.error) == ("queued", None)
        assert evaluation.summary == {"without_previous": ERROR["detail"]}
    assert _comparing(actor, following)
    assert not _comparing(actor, waiting)
    actor.capture_all("c2")
    assert _comparing(actor, waiting)


def test_retry_captures_what_failed_and_keeps_what_is_complete(
    actor: Actor, database: Database
) -> None:
    evaluation_id = actor.planned({"candidate": "c", "baseline": "b"}, shards=2)
    actor.capture_all("b")
    done = {shard.id for shard in actor.shards_of("b")}
    actor.fail(actor.claimed(actor.shards_of("c")[0].id))
    with database.unit_of_work() as session:
        ledger.retry_evaluation(session, evaluation_id)
    (plan,) = actor.shards(evaluation_id=evaluation_id)
    actor.plan(actor.claimed(plan.id), {"candidate": "c", "baseline": "b"}, shards=2)
    assert {shard.id for shard in actor.shards_of("b")} == done
    assert [(s.state, s.attempt) for s in actor.shards_of("c")] == [("queued", 0)] * 2
    actor.capture_all("c")
    assert _comparing(actor, evaluation_id)


def test_what_a_first_run_waited_for_neither_compares_nor_ends_a_retry(
    actor: Actor, database: Database
) -> None:
    complete = actor.planned({"candidate": "c1", "baseline": "b"})
    broken = actor.planned({"candidate": "c2", "baseline": "b"})
    actor.planned({"candidate": "c1", "baseline": "c2"})
    actor.capture_all("b")
    with database.unit_of_work() as session:
        for evaluation_id in (complete, broken):
            ledger.cancel_evaluation(session, evaluation_id)
            ledger.retry_evaluation(session, evaluation_id)
    # Before either is planned again, what both waited for ends, one way and the other.
    actor.capture_all("c1")
    actor.fail(actor.claimed(actor.shards_of("c2")[0].id))
    assert not actor.shards(evaluation_id=complete, kind="compare")
    assert actor.evaluation(broken).state == "queued"
    for evaluation_id, key in ((complete, "c1"), (broken, "c2")):
        (plan,) = actor.shards(evaluation_id=evaluation_id)
        actor.plan(actor.claimed(plan.id), {"candidate": key, "baseline": "b"})
    assert _comparing(actor, complete)
    assert [(shard.state, shard.attempt) for shard in actor.shards_of("c2")] == [("queued", 0)]


def test_only_whoever_still_compares_may_remove_what_is_still_complete(
    actor: Actor, database: Database
) -> None:
    evaluation_id = actor.planned({"candidate": "c"})
    actor.capture_all("c")
    (shard,) = actor.shards(evaluation_id=evaluation_id, kind="compare")
    claim = actor.claimed(shard.id)
    with database.unit_of_work() as session:
        assert snapshots.is_complete_for(session, claim, "c")
    again = actor.claimed(actor.shards(evaluation_id=actor.accept())[0].id)
    with database.unit_of_work() as session:
        need = snapshots.SnapshotNeed(
            "candidate", "c", actor.snapshot("c").checkpoint_id, {}, {}, [(0, 1)]
        )
        snapshots.plan_evaluation(session, again, [need], vanished={"c"})
    with database.unit_of_work() as session:
        assert not snapshots.is_complete_for(session, claim, "c")
    actor.expire(shard.id)
    actor.claimed(shard.id)
    with pytest.raises(StaleAttempt), database.unit_of_work() as session:
        snapshots.is_complete_for(session, claim, "c")


def test_cancelling_one_evaluation_leaves_what_another_needs(
    actor: Actor, database: Database
) -> None:
    first = actor.planned({"candidate": "c1", "baseline": "b"}, shards=2)
    second = actor.planned({"candidate": "c2", "baseline": "b"}, shards=2)
    running = actor.claimed(actor.shards_of("c1")[0].id)
    with database.unit_of_work() as session:
        ledger.cancel_evaluation(session, first)
    _release(database)
    assert {shard.state for shard in actor.shards_of("c1")} == {"cancelled"}
    assert {shard.state for shard in actor.shards_of("b")} == {"queued"}
    with pytest.raises(StaleAttempt):
        actor.finish_capture(running)
    actor.capture_all("b")
    actor.capture_all("c2")
    assert _comparing(actor, second)
    assert not actor.shards(evaluation_id=first, kind="compare")


def test_a_released_snapshot_is_taken_up_again_by_who_needs_it(
    actor: Actor, database: Database
) -> None:
    first = actor.planned({"candidate": "c"}, shards=2)
    actor.finish_capture(actor.claimed(actor.shards_of("c")[0].id))
    with database.unit_of_work() as session:
        ledger.cancel_evaluation(session, first)
    _release(database)
    second = actor.planned({"candidate": "c"}, shards=7)
    assert [shard.state for shard in actor.shards_of("c")] == ["succeeded", "queued"]
    actor.capture_all("c")
    assert _comparing(actor, second)


def test_a_worker_that_dies_while_it_merges_is_replaced(actor: Actor) -> None:
    evaluation_id = actor.planned({"candidate": "c"})
    (shard,) = actor.shards_of("c")
    dying = actor.claimed(shard.id)
    with actor.database.unit_of_work() as session:
        assert snapshots.is_last_of_snapshot(session, dying)
    actor.expire(shard.id)
    assert actor.finish_capture(actor.claimed(shard.id))
    with pytest.raises(StaleAttempt), actor.database.unit_of_work() as session:
        snapshots.complete_snapshot(session, dying, {})
    assert _comparing(actor, evaluation_id)
