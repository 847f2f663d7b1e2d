"""A monitor with a line of evaluated checkpoints, their rows and their files."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, update

from app.core.artifacts import ArtifactStore
from app.core.clock import now
from app.core.database import Database
from app.core.digests import sha256_bytes
from app.core.ids import new_id
from app.evaluations.tables import Evaluation, EvaluationSnapshot, Snapshot
from app.monitors.tables import Monitor
from app.registry.tables import Checkpoint
from app.retention.collector import Outcome, collect
from app.retention.plan import Plan, make_plan
from app.retention.rules import Rules, Scope
from app.settings import Settings
from tests.support.registry import add_evaluation

NO_GRACE = Rules(grace=timedelta(0), leftover_age=timedelta(0))
FILES = ("shard-00000.safetensors", "shard-00000.json", "manifest.json")


def key_of(name: str) -> str:
    """A snapshot key that stands for a name."""
    return sha256_bytes(name.encode())


class Line:
    """One model and one monitor; checkpoints are evaluated one after another."""

    def __init__(self, database: Database, store: ArtifactStore) -> None:
        self.database, self.store = database, store
        with database.unit_of_work() as session:
            first = add_evaluation(session)
            self.monitor_id, self.baseline_id = first.monitor_id, first.baseline_checkpoint_id
            self.model_id = session.get_one(Checkpoint, self.baseline_id).model_id
            session.delete(first)
        self.moment = now() - timedelta(days=30)

    def policy(self, monitor_id: UUID | None = None, **retention: int | None) -> None:
        """PATCH the policy of a monitor."""
        with self.database.unit_of_work() as session:
            monitor = session.get_one(Monitor, monitor_id or self.monitor_id)
            monitor.policy = {**monitor.policy, "retention": retention}

    def another_monitor(self) -> UUID:
        """A monitor like the first one, without a policy of retention."""
        with self.database.unit_of_work() as session:
            first = session.get_one(Monitor, self.monitor_id)
            columns = ("model_id", "corpus_id", "feature_set_version_id", "baseline", "watchlist")
            second = Monitor(
                id=new_id(),
                name=f"m{new_id().hex}",
                policy={},
                updated_at=now(),
                **{name: getattr(first, name) for name in columns},
            )
            session.add(second)
            return second.id

    def checkpoint(self, name: str) -> UUID:
        """A registered checkpoint, new or not."""
        with self.database.unit_of_work() as session:
            known = session.scalar(
                select(Checkpoint.id).where(
                    Checkpoint.name == name, Checkpoint.model_id == self.model_id
                )
            )
            if known is not None:
                return known
            row = Checkpoint(
                id=new_id(), model_id=self.model_id, name=name, source=f"/nowhere/{name}"
            )
            session.add(row)
            return row.id

    def evaluate(
        self,
        name: str,
        *,
        state: str = "succeeded",
        monitor_id: UUID | None = None,
        roles: Sequence[str] = ("candidate", "baseline", "no_op"),
    ) -> UUID:
        """An evaluation of a checkpoint, a day after the last, with snapshots and their files."""
        checkpoint_id = self.checkpoint(name)
        self.moment += timedelta(days=1)
        with self.database.unit_of_work() as session:
            monitor = session.get_one(Monitor, monitor_id or self.monitor_id)
            evaluation = Evaluation(
                id=new_id(),
                created_at=self.moment,
                monitor_id=monitor.id,
                checkpoint_id=checkpoint_id,
                baseline_checkpoint_id=self.baseline_id,
                corpus_id=monitor.corpus_id,
                feature_set_version_id=monitor.feature_set_version_id,
                policy={},
                inputs_digest=new_id().hex,
                state=state,
            )
            session.add(evaluation)
            session.flush()
            for role in roles:
                label = {"candidate": name, "baseline": "baseline"}.get(role, f"{role} {name}")
                owner = checkpoint_id if role == "candidate" else self.baseline_id
                snapshot = self._snapshot(label, role, owner)
                session.add(snapshot) if snapshot not in session else None
                session.flush()
                session.add(
                    EvaluationSnapshot(
                        evaluation_id=evaluation.id, role=role, snapshot_id=snapshot.id
                    )
                )
            return evaluation.id

    def _snapshot(self, label: str, role: str, checkpoint_id: UUID) -> Snapshot:
        key = key_of(label)
        known = self.find(label)
        if known is not None:
            return known
        for file in FILES:
            self.store.write_bytes(f"snapshots/{key}/{file}", b"x" * 100)
        return Snapshot(
            id=new_id(),
            key=key,
            checkpoint_id=checkpoint_id,
            inputs={"purpose": "no_op" if role == "no_op" else "features"},
            plan={"tokens_key": f"tokens/{key_of('tokens')}.safetensors"},
            state="complete",
            manifest={},
            bytes=300,
        )

    def find(self, label: str) -> Snapshot | None:
        """A snapshot's row."""
        with self.database.unit_of_work() as session:
            return session.scalar(select(Snapshot).where(Snapshot.key == key_of(label)))

    def states(self, *labels: str) -> list[str | None]:
        """The states of some snapshots; None where the row is gone."""
        rows = [self.find(label) for label in labels]
        return [row.state if row is not None else None for row in rows]

    def files(self, label: str) -> int:
        """How many files of a snapshot are in the store."""
        return len(self.store.objects(f"snapshots/{key_of(label)}"))

    def plan(self, scope: Scope = "policies", rules: Rules = NO_GRACE) -> Plan:
        """A dry run."""
        return make_plan(self.database, self.store, rules, scope)

    def collect(self, scope: Scope = "policies", rules: Rules = NO_GRACE) -> Outcome:
        """A run."""
        return collect(self.database, self.store, rules, scope)

    def doomed(self, scope: Scope = "policies") -> set[str]:
        """Keys that a run would let go."""
        return {item.key for item in self.plan(scope).items}

    def end(self, evaluation_id: UUID, state: str) -> None:
        """Let an evaluation have ended so."""
        with self.database.unit_of_work() as session:
            session.execute(
                update(Evaluation).where(Evaluation.id == evaluation_id).values(state=state)
            )


def folders(*labels: str) -> set[str]:
    """The folders of some snapshots."""
    return {f"snapshots/{key_of(label)}" for label in labels}


@pytest.fixture
def store(settings: Settings) -> ArtifactStore:
    """The test's own store."""
    return ArtifactStore(settings.artifacts)


@pytest.fixture
def line(database: Database, store: ArtifactStore) -> Line:
    """A monitor that has evaluated nothing yet."""
    return Line(database, store)
