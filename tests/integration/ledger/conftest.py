"""A ledger to act on: shards are claimed and ended by name, without workers."""

from collections.abc import Sequence
from uuid import UUID

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.core.database import Database
from app.evaluations import ledger, snapshots
from app.evaluations.ledger import Claim
from app.evaluations.snapshots import SnapshotNeed
from app.evaluations.tables import Evaluation, OutboxMessage, Shard, Snapshot
from tests.support.registry import add_evaluation, checkpoint_of

CAP = 3
ERROR = {"code": "test", "detail": "the test says so"}


class Actor:
    """Acts as workers and callers do, each action in a transaction of its own."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def accept(self) -> UUID:
        """Accept an evaluation, as the API does."""
        with self.database.unit_of_work() as session:
            evaluation = add_evaluation(session)
            ledger.open_shard(session, kind="plan", evaluation_id=evaluation.id)
            return evaluation.id

    def claim(self, shard_id: UUID, lease: float = 60) -> Claim | None:
        with self.database.unit_of_work() as session:
            return ledger.claim(
                session, shard_id, worker="w", lease_seconds=lease, max_attempts=CAP
            )

    def claimed(self, shard_id: UUID, lease: float = 60) -> Claim:
        claim = self.claim(shard_id, lease)
        assert claim is not None
        return claim

    def plan(self, claim: Claim, needs: dict[str, str], shards: int = 1) -> None:
        """Finish a plan shard; `needs` is role → snapshot key."""
        with self.database.unit_of_work() as session:
            assert claim.evaluation_id is not None
            checkpoint = checkpoint_of(session, claim.evaluation_id)
            snapshots.plan_evaluation(
                session,
                claim,
                [
                    SnapshotNeed(role, key, checkpoint, {}, {}, [(i, i + 1) for i in range(shards)])
                    for role, key in needs.items()
                ],
            )

    def planned(self, needs: dict[str, str], shards: int = 1) -> UUID:
        """Accept and plan an evaluation."""
        evaluation_id = self.accept()
        self.plan(self.claimed(self.shards(evaluation_id=evaluation_id)[0].id), needs, shards)
        return evaluation_id

    def finish_capture(self, claim: Claim) -> bool:
        """Finish a capture shard as a worker does; True if that completed the snapshot."""
        with self.database.unit_of_work() as session:
            last = snapshots.is_last_of_snapshot(session, claim)
        if last:
            with self.database.unit_of_work() as session:
                snapshots.complete_snapshot(session, claim, {"tokens": 1})
        return last

    def capture_all(self, key: str) -> None:
        """Claim and finish every open shard of a snapshot."""
        for shard in self.shards_of(key):
            if shard.state == "queued":
                self.finish_capture(self.claimed(shard.id))

    def fail(self, claim: Claim) -> None:
        with self.database.unit_of_work() as session:
            snapshots.fail_permanently(session, claim, ERROR)

    def expire(self, shard_id: UUID) -> None:
        """Let a lease run out."""
        with self.database.unit_of_work() as session:
            session.execute(
                update(Shard).where(Shard.id == shard_id).values(lease_expires_at="2000-01-01")
            )

    def evaluation(self, evaluation_id: UUID) -> Evaluation:
        with self.database.unit_of_work() as session:
            return session.get_one(Evaluation, evaluation_id)

    def snapshot(self, key: str) -> Snapshot:
        with self.database.unit_of_work() as session:
            return session.scalars(select(Snapshot).where(Snapshot.key == key)).one()

    def shard(self, shard_id: UUID) -> Shard:
        with self.database.unit_of_work() as session:
            return session.get_one(Shard, shard_id)

    def shards(self, *, evaluation_id: UUID, kind: str = "plan") -> Sequence[Shard]:
        with self.database.unit_of_work() as session:
            return session.scalars(
                select(Shard).where(Shard.evaluation_id == evaluation_id, Shard.kind == kind)
            ).all()

    def shards_of(self, key: str) -> Sequence[Shard]:
        with self.database.unit_of_work() as session:
            return session.scalars(
                select(Shard).join(Snapshot).where(Snapshot.key == key).order_by(Shard.position)
            ).all()

    def messages(self, shard_id: UUID) -> int:
        """How many outbox rows a shard has."""
        with self.database.unit_of_work() as session:
            return len(_messages(session, shard_id))


def _messages(session: Session, shard_id: UUID) -> Sequence[OutboxMessage]:
    return session.scalars(select(OutboxMessage).where(OutboxMessage.shard_id == shard_id)).all()


@pytest.fixture
def actor(database: Database) -> Actor:
    """The test's hands."""
    return Actor(database)
