"""Claims, leases and fences: one worker at a time, and only its writes count."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from app.core.database import Database
from app.core.errors import ConflictError, NotFoundError
from app.core.ids import new_id
from app.evaluations import ledger, snapshots, sweep
from app.evaluations.ledger import StaleAttempt
from tests.integration.ledger.conftest import CAP, ERROR, Actor


def test_a_shard_is_announced_in_the_transaction_that_opens_it(actor: Actor) -> None:
    evaluation_id = actor.accept()
    (shard,) = actor.shards(evaluation_id=evaluation_id)
    assert (shard.state, shard.attempt, actor.messages(shard.id)) == ("queued", 0, 1)


def test_of_many_simultaneous_claims_one_wins(actor: Actor) -> None:
    (shard,) = actor.shards(evaluation_id=actor.accept())
    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda _: actor.claim(shard.id), range(16)))
    assert sum(claim is not None for claim in claims) == 1
    assert actor.shard(shard.id).attempt == 1


def test_a_running_shard_is_taken_over_only_when_its_lease_has_run_out(actor: Actor) -> None:
    (shard,) = actor.shards(evaluation_id=actor.accept())
    first = actor.claimed(shard.id)
    assert actor.claim(shard.id) is None
    actor.expire(shard.id)
    second = actor.claimed(shard.id)
    assert (first.attempt, second.attempt) == (1, 2)


def test_a_heartbeat_holds_the_lease_until_another_attempt_begins(
    actor: Actor, database: Database
) -> None:
    (shard,) = actor.shards(evaluation_id=actor.accept())
    first = actor.claimed(shard.id)
    actor.expire(shard.id)
    with database.unit_of_work() as session:
        assert ledger.heartbeat(session, first, lease_seconds=60)  # late, but nobody took it
    assert actor.claim(shard.id) is None
    actor.expire(shard.id)
    actor.claimed(shard.id)
    with database.unit_of_work() as session:
        assert not ledger.heartbeat(session, first, lease_seconds=60)


def test_a_stale_attempt_changes_no_row(actor: Actor, database: Database) -> None:
    (shard,) = actor.shards(evaluation_id=actor.accept())
    stale = actor.claimed(shard.id)
    actor.expire(shard.id)
    current = actor.claimed(shard.id)
    with pytest.raises(StaleAttempt), database.unit_of_work() as session:
        ledger.finish(session, stale)
    with pytest.raises(StaleAttempt), database.unit_of_work() as session:
        ledger.requeue(session, stale, ERROR)
    with pytest.raises(StaleAttempt):
        actor.fail(stale)
    with pytest.raises(StaleAttempt):
        actor.plan(stale, {"candidate": "k"})
    assert (actor.shard(shard.id).state, actor.shard(shard.id).error) == ("running", None)
    actor.plan(current, {"candidate": "k"})
    assert actor.shard(shard.id).state == "succeeded"


def test_a_finished_shard_is_never_claimed_again(actor: Actor) -> None:
    (shard,) = actor.shards(evaluation_id=actor.accept())
    actor.plan(actor.claimed(shard.id), {"candidate": "k"})
    assert actor.claim(shard.id) is None
    assert actor.claim(new_id()) is None


def test_a_transient_failure_is_tried_again_after_a_pause(actor: Actor, database: Database) -> None:
    (shard,) = actor.shards(evaluation_id=actor.accept())
    claim = actor.claimed(shard.id)
    with database.unit_of_work() as session:
        ledger.requeue(session, claim, ERROR)
    row = actor.shard(shard.id)
    assert (row.state, row.error, row.lease_expires_at) == ("queued", ERROR, None)
    assert row.announced_at > row.queued_at
    assert actor.messages(shard.id) == 2
    assert actor.claimed(shard.id).attempt == 2


def test_attempts_are_capped_and_the_evaluation_says_why(actor: Actor, database: Database) -> None:
    evaluation_id = actor.accept()
    (shard,) = actor.shards(evaluation_id=evaluation_id)
    for _ in range(CAP):
        actor.claimed(shard.id)
        actor.expire(shard.id)
    assert actor.claim(shard.id) is None
    with database.unit_of_work() as session:
        assert sweep.requeue_lapsed(session, CAP) == []
        assert sweep.exhausted(session, CAP) == [shard.id]
    with database.unit_of_work() as session:
        assert snapshots.fail_exhausted(session, shard.id, CAP)
    evaluation = actor.evaluation(evaluation_id)
    assert evaluation.state == "failed"
    assert evaluation.error == {
        "code": "attempts_exhausted",
        "detail": "the plan step was tried 3 times without finishing. Last: worker w stopped "
        "answering: it was killed, ran out of memory, or was cut off",
    }
    with database.unit_of_work() as session:
        assert not snapshots.fail_exhausted(session, shard.id, CAP)


def test_a_lapsed_shard_goes_back_to_the_queue_with_a_message(
    actor: Actor, database: Database
) -> None:
    (shard,) = actor.shards(evaluation_id=actor.accept())
    actor.claimed(shard.id)
    with database.unit_of_work() as session:
        assert sweep.requeue_lapsed(session, CAP) == []
    actor.expire(shard.id)
    with database.unit_of_work() as session:
        assert sweep.requeue_lapsed(session, CAP) == [shard.id]
    row = actor.shard(shard.id)
    assert row.state == "queued"
    assert row.error is not None
    assert row.error["code"] == "worker_lost"
    assert actor.messages(shard.id) == 2


def test_cancelling_stops_the_worker_at_its_next_heartbeat(
    actor: Actor, database: Database
) -> None:
    evaluation_id = actor.accept()
    (shard,) = actor.shards(evaluation_id=evaluation_id)
    claim = actor.claimed(shard.id)
    with database.unit_of_work() as session:
        assert ledger.cancel_evaluation(session, evaluation_id).state == "cancelled"
    with database.unit_of_work() as session:
        assert not ledger.heartbeat(session, claim, lease_seconds=60)
    with pytest.raises(StaleAttempt):
        actor.plan(claim, {"candidate": "k"})
    with pytest.raises(ConflictError, match="cancelled"), database.unit_of_work() as session:
        ledger.cancel_evaluation(session, evaluation_id)


def test_retry_starts_anew_and_shuts_out_stragglers(actor: Actor, database: Database) -> None:
    evaluation_id = actor.accept()
    (shard,) = actor.shards(evaluation_id=evaluation_id)
    straggler = actor.claimed(shard.id)
    with database.unit_of_work() as session, pytest.raises(ConflictError, match="queued"):
        ledger.retry_evaluation(session, evaluation_id)
    with database.unit_of_work() as session:
        ledger.cancel_evaluation(session, evaluation_id)
    with database.unit_of_work() as session:
        evaluation = ledger.retry_evaluation(session, evaluation_id)
        assert (evaluation.state, evaluation.step, evaluation.error) == ("queued", "plan", None)
    (again,) = actor.shards(evaluation_id=evaluation_id)
    current = actor.claimed(again.id)
    assert current.attempt == straggler.attempt == 1
    with pytest.raises(StaleAttempt):
        actor.plan(straggler, {"candidate": "k"})
    actor.plan(current, {"candidate": "k"})


def test_an_unknown_evaluation_is_not_found(database: Database) -> None:
    for action in (ledger.cancel_evaluation, ledger.retry_evaluation):
        with pytest.raises(NotFoundError), database.unit_of_work() as session:
            action(session, new_id())
