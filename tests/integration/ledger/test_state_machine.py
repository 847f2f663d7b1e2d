"""Any interleaving of what workers, callers, the sweep and crashes do leaves the ledger sound."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete, select

from app.core.database import Database
from app.core.errors import ConflictError
from app.evaluations import ledger, snapshots, sweep
from app.evaluations.ledger import Claim, StaleAttempt
from app.evaluations.tables import Evaluation, EvaluationSnapshot, OutboxMessage, Shard, Snapshot
from tests.integration.ledger.conftest import CAP, ERROR, Actor

OPEN = ("queued", "running")
# Few keys, so that evaluations share snapshots.
KEYS = ("a", "b", "c")


class LedgerMachine(RuleBasedStateMachine):
    """Workers hold claims, some of them stale; the model knows who must win."""

    database: Database

    def __init__(self) -> None:
        super().__init__()
        self.actor = Actor(self.database)
        with self.database.unit_of_work() as session:
            # Quicker than TRUNCATE for a few rows.
            for table in (EvaluationSnapshot, Shard, Snapshot, Evaluation):
                session.execute(delete(table))
        self.claims: list[Claim] = []
        self.holder: dict[UUID, Claim] = {}
        """The only claim of each shard whose writes may count."""
        self.attempts: dict[UUID, int] = {}
        self.finished: set[UUID] = set()

    @rule()
    def accept(self) -> None:
        self.actor.accept()

    @precondition(lambda self: self.shards())
    @rule(data=st.data())
    def claim(self, data: st.DataObject) -> None:
        shard = data.draw(st.sampled_from(self.shards()))
        claim = self.actor.claim(shard.id)
        if claim is None:
            held = shard.state == "running" and shard.id in self.holder
            assert held or shard.state not in OPEN or shard.attempt >= CAP
            return
        assert shard.state in OPEN
        assert claim.attempt == self.attempts.get(shard.id, 0) + 1 <= CAP
        self.attempts[shard.id] = claim.attempt
        self.holder[shard.id] = claim
        self.claims.append(claim)

    @precondition(lambda self: self.shards())
    @rule(data=st.data(), times=st.integers(2, 4))
    def message_arrives_many_times(self, data: st.DataObject, times: int) -> None:
        """At the same moment, in as many workers: one at most has the shard."""
        shard = data.draw(st.sampled_from(self.shards()))
        with ThreadPoolExecutor(times) as workers:
            claims = list(workers.map(self.actor.claim, [shard.id] * times))
        won = [claim for claim in claims if claim is not None]
        assert len(won) <= 1
        for claim in won:
            assert shard.id not in self.finished
            assert claim.attempt == self.attempts.get(shard.id, 0) + 1 <= CAP
            self.attempts[shard.id] = claim.attempt
            self.holder[shard.id] = claim
            self.claims.append(claim)

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), keys=st.lists(st.sampled_from(KEYS), min_size=2, max_size=2))
    def work(self, data: st.DataObject, keys: list[str]) -> None:
        claim = self.draw_claim(data)
        try:
            if claim.kind == "plan":
                self.actor.plan(claim, {"candidate": keys[0], "baseline": keys[1]}, shards=2)
            elif claim.kind == "capture":
                self.actor.finish_capture(claim)
            else:
                self.compare(claim)
        except StaleAttempt:
            self.check_loser(claim)
        else:
            self.check_winner(claim)
            self.finished.add(claim.shard_id)

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), permanent=st.booleans())
    def fail(self, data: st.DataObject, permanent: bool) -> None:
        claim = self.draw_claim(data)
        try:
            if permanent:
                self.actor.fail(claim)
            else:
                with self.database.unit_of_work() as session:
                    ledger.requeue(session, claim, ERROR)
        except StaleAttempt:
            self.check_loser(claim)
        else:
            self.check_winner(claim)

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def heartbeat(self, data: st.DataObject) -> None:
        claim = self.draw_claim(data)
        with self.database.unit_of_work() as session:
            held = ledger.heartbeat(session, claim, lease_seconds=60)
        if held:
            assert self.holder[claim.shard_id] == claim
        else:
            self.check_loser(claim)

    @precondition(lambda self: self.shards("running"))
    @rule(data=st.data())
    def lease_runs_out(self, data: st.DataObject) -> None:
        shard = data.draw(st.sampled_from(self.shards("running")))
        self.actor.expire(shard.id)

    @rule()
    def sweep(self) -> None:
        with self.database.unit_of_work() as session:
            requeued = sweep.requeue_lapsed(session, CAP)
        for shard_id in requeued:
            self.holder.pop(shard_id, None)
        with self.database.unit_of_work() as session:
            exhausted = sweep.exhausted(session, CAP)
        for shard_id in exhausted:
            with self.database.unit_of_work() as session:
                snapshots.fail_exhausted(session, shard_id, CAP)
        with self.database.unit_of_work() as session:
            unneeded = snapshots.unneeded(session)
        for snapshot_id in unneeded:
            with self.database.unit_of_work() as session:
                snapshots.release_unneeded(session, snapshot_id)

    @precondition(lambda self: self.evaluations())
    @rule(data=st.data(), retry=st.booleans())
    def caller_acts(self, data: st.DataObject, retry: bool) -> None:
        evaluation = data.draw(st.sampled_from(self.evaluations()))
        action = ledger.retry_evaluation if retry else ledger.cancel_evaluation
        allowed = evaluation.state in (("failed", "cancelled") if retry else OPEN)
        try:
            with self.database.unit_of_work() as session:
                action(session, evaluation.id)
        except ConflictError:
            assert not allowed
        else:
            assert allowed

    def compare(self, claim: Claim) -> None:
        """What a compare shard does in its last transaction."""
        assert claim.evaluation_id is not None
        with self.database.unit_of_work() as session:
            evaluation = ledger.lock_evaluation(session, claim.evaluation_id)
            ledger.finish(session, claim)
            evaluation.state, evaluation.step = "succeeded", "done"

    def draw_claim(self, data: st.DataObject) -> Claim:
        return data.draw(st.sampled_from(self.claims))

    def check_winner(self, claim: Claim) -> None:
        assert self.holder.pop(claim.shard_id) == claim
        assert claim.shard_id not in self.finished

    def check_loser(self, claim: Claim) -> None:
        """A fence refused: the shard is somebody else's, ended, or gone."""
        shard = {shard.id: shard for shard in self.shards()}.get(claim.shard_id)
        if self.holder.get(claim.shard_id) == claim:
            assert shard is None or shard.state not in ("queued", "running")
            del self.holder[claim.shard_id]

    def shards(self, *states: str) -> list[Shard]:
        with self.database.unit_of_work() as session:
            # An order that does not depend on ids, of which those of one moment are random.
            query = (
                select(Shard)
                .join(Snapshot, Snapshot.id == Shard.snapshot_id, isouter=True)
                .order_by(Snapshot.key, Shard.position, Shard.evaluation_id, Shard.kind)
            )
            return list(session.scalars(query.where(Shard.state.in_(states)) if states else query))

    def evaluations(self) -> list[Evaluation]:
        with self.database.unit_of_work() as session:
            return list(session.scalars(select(Evaluation).order_by(Evaluation.id)))

    @invariant()
    def attempts_only_grow_and_what_is_finished_stays_so(self) -> None:
        for shard in self.shards():
            assert shard.attempt == self.attempts.get(shard.id, 0)
            assert shard.id not in self.finished or shard.state == "succeeded"

    @invariant()
    def nobody_waits_for_nothing(self) -> None:
        """Every open evaluation has an open shard that it waits for, and a message for each."""
        with self.database.unit_of_work() as session:
            for evaluation in session.scalars(select(Evaluation).where(Evaluation.state.in_(OPEN))):
                linked = select(EvaluationSnapshot.snapshot_id).where(
                    EvaluationSnapshot.evaluation_id == evaluation.id
                )
                waits = session.scalars(
                    select(Shard.id).where(
                        Shard.state.in_(OPEN),
                        (Shard.evaluation_id == evaluation.id) | Shard.snapshot_id.in_(linked),
                    )
                ).all()
                assert waits, f"{evaluation.state} at {evaluation.step}"
            unannounced = session.scalars(
                select(Shard.id).where(
                    Shard.state == "queued", Shard.id.not_in(select(OutboxMessage.shard_id))
                )
            ).all()
            assert not unannounced

    @invariant()
    def comparisons_have_their_snapshots(self) -> None:
        with self.database.unit_of_work() as session:
            early = session.scalars(
                select(Shard.id)
                .join(EvaluationSnapshot, EvaluationSnapshot.evaluation_id == Shard.evaluation_id)
                .join(Snapshot, Snapshot.id == EvaluationSnapshot.snapshot_id)
                .where(Shard.kind == "compare", Shard.state.in_(OPEN), Snapshot.state != "complete")
            ).all()
            assert not early

    @invariant()
    def comparisons_come_after_plans(self) -> None:
        with self.database.unit_of_work() as session:
            compared = select(Shard.evaluation_id).where(Shard.kind == "compare")
            early = session.scalars(
                select(Shard.id).where(
                    Shard.kind == "plan",
                    Shard.state != "succeeded",
                    Shard.evaluation_id.in_(compared),
                )
            ).all()
            assert not early

    @invariant()
    def ended_evaluations_have_no_open_shard_of_their_own(self) -> None:
        with self.database.unit_of_work() as session:
            left = session.scalars(
                select(Shard.id)
                .join(Evaluation, Evaluation.id == Shard.evaluation_id)
                .where(Evaluation.state.not_in(OPEN), Shard.state.in_(OPEN))
            ).all()
            assert not left


@pytest.fixture
def machine(database: Database) -> Iterator[type[LedgerMachine]]:
    """The machine on this test's own database."""
    LedgerMachine.database = database
    yield LedgerMachine
    del LedgerMachine.database


def test_the_ledger_stays_sound(machine: type[LedgerMachine]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=15,
            stateful_step_count=30,
            deadline=None,
            # Shrinking against a real Postgres would take many minutes.
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
