"""The collector: marks in Postgres, waits, deletes the files, then the marks.

It may die between any two of its steps. A snapshot is `collected` before its first file goes, so
that nobody reads half of it; what was begun is ended by the next run. All is decided again under
the lock of the one thing that goes, which is held until its files are gone: a worker that plans at
that moment waits, and then captures anew.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from app.core.artifact_locks import claim_alone
from app.core.artifacts import ArtifactStore
from app.core.database import Database
from app.core.errors import ConflictError
from app.core.faults import fault_point
from app.evaluations import ledger
from app.evaluations.tables import Shard
from app.retention import repository
from app.retention.keepers import keepers
from app.retention.layout import in_deletion_order, units
from app.retention.plan import Item, Plan, make_plan
from app.retention.references import unreferred
from app.retention.rules import Rules, Scope
from app.retention.tables import RetiredArtifact

_LOCK = "SELECT pg_try_advisory_lock(hashtext('featuredrift-retention'))"
_BATCH = 500
"""Files removed between two looks at whether the lock still holds."""


@dataclass
class Outcome:
    """What one run did.

    Attributes:
        marked, unmarked: things marked, and snapshots that are kept again.
        collected: things whose files are gone, and `bytes`, what they weighed.
        rows: rows of collected snapshots that no evaluation named any more.
        waiting: things marked whose grace is not over.
    """

    marked: int = 0
    unmarked: int = 0
    collected: int = 0
    bytes: int = 0
    rows: int = 0
    waiting: int = 0

    def to_json(self) -> dict[str, Any]:
        """As a program reads it."""
        return asdict(self)


def collect(database: Database, store: ArtifactStore, rules: Rules, scope: Scope) -> Outcome:
    """One run: mark what nobody keeps, delete what has been marked for long enough.

    Raises:
        ConflictError: another collector is at work.
        OSError: the store cannot be read or written; what was begun is ended by the next run.
    """
    with _alone(database):
        outcome = Outcome()
        with database.unit_of_work() as session:
            run = repository.start_run(session, scope)
        plan = make_plan(database, store, rules, scope)
        with database.unit_of_work() as session:
            outcome.unmarked = repository.unmark_all_but(session, plan.unkept)
        for item in plan.items:
            outcome.marked += _mark(database, item)
        fault_point("collector-marked")
        with database.unit_of_work() as session:
            snapshots = repository.due_snapshots(session, rules.grace)
            artifacts = repository.due_artifacts(session, rules.grace)
        for snapshot_id in snapshots:
            _count(outcome, _collect_snapshot(database, store, snapshot_id))
        for artifact in artifacts:
            _count(outcome, _collect_artifact(database, store, artifact))
        with database.unit_of_work() as session:
            outcome.rows = repository.delete_unlinked_rows(session)
        outcome.waiting = _waiting(plan, outcome)
        with database.unit_of_work() as session:
            repository.finish_run(session, run, outcome.to_json())
    return outcome


@contextmanager
def _alone(database: Database) -> Iterator[None]:
    with database.engine.connect() as connection:
        connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        if not connection.scalar(text(_LOCK)):
            raise ConflictError(
                "another collector is at work; wait for it, or see `featuredrift retention plan`",
                code="retention_running",
            )
        try:
            yield
        finally:
            # The connection goes back to a pool, and a lock would go with it.
            connection.execute(text("SELECT pg_advisory_unlock_all()"))


def _mark(database: Database, item: Item) -> bool:
    if item.marked_at is not None:
        return False
    with database.unit_of_work() as session:
        if item.snapshot_id is None:
            return repository.retire(
                session, key=item.key, kind=item.kind, reason=item.reason, size=item.bytes
            )
        snapshot = repository.lock_snapshot(session, item.snapshot_id)
        if snapshot is None or not _unkept(session, item.snapshot_id):
            return False
        snapshot.marked_at, snapshot.bytes = func.clock_timestamp(), item.bytes
        return True


def _unkept(session: Session, snapshot_id: UUID) -> bool:
    found = keepers(session).snapshots
    return bool(repository.unkept_snapshots(session, found, only=snapshot_id))


def _collect_snapshot(database: Database, store: ArtifactStore, snapshot_id: UUID) -> int | None:
    """Condemn a snapshot, delete its files, record it; None if somebody keeps it again."""
    with database.unit_of_work() as session:
        snapshot = repository.lock_snapshot(session, snapshot_id)
        if snapshot is None:
            return None
        if snapshot.state != "collected":
            if snapshot.marked_at is None:
                return None
            if not _unkept(session, snapshot_id):
                snapshot.marked_at = None
                return None
            # From here on it is no longer found complete; a straggler's writes are fenced off.
            snapshot.state, snapshot.error, snapshot.collected_at = "collected", None, None
            session.flush()
            ledger.cancel_shards(session, Shard.snapshot_id == snapshot_id)
        folder = f"snapshots/{snapshot.key}"
    fault_point("collector-condemned")
    with database.unit_of_work() as session:
        claim_alone(session, folder)
        snapshot = repository.lock_snapshot(session, snapshot_id)
        if snapshot is None or snapshot.state != "collected":
            return None
        _delete(session, store, [found.key for found in store.objects(folder)])
        fault_point("collector-deleted")
        freed = snapshot.bytes or 0
        snapshot.collected_at, snapshot.marked_at = func.clock_timestamp(), None
        return freed


def _collect_artifact(
    database: Database, store: ArtifactStore, marked: RetiredArtifact
) -> int | None:
    """Delete an artifact that is still not referred to; None if it is again."""
    with database.unit_of_work() as session:
        claim_alone(session, marked.key)
        found, _ = units(store.objects(marked.key) or _alone_in_folder(store, marked.key))
        here = [unit for unit in found if unit.key == marked.key]
        by_policy = bool(here) and marked.kind == "table" and _is_unkept_table(session, here[0].id)
        if here and not by_policy and not unreferred(session, here):
            repository.forget_artifacts(session, [marked.key])
            return None
        _delete(session, store, [key for unit in here for key in unit.files])
        fault_point("collector-deleted")
        if by_policy:
            repository.note_collected_tables(session, UUID(here[0].id))
        repository.forget_artifacts(session, [marked.key])
        return sum(unit.size for unit in here)


def _alone_in_folder(store: ArtifactStore, key: str) -> Sequence[Any]:
    """A file by its key, for stores whose listing of a file's own key is empty."""
    return [found for found in store.objects(key.rpartition("/")[0]) if found.key == key]


def _is_unkept_table(session: Session, evaluation: str) -> bool:
    found = keepers(session).tables
    return bool(found) and bool(repository.unkept_tables(session, found, only=UUID(evaluation)))


def _delete(session: Session, store: ArtifactStore, files: Sequence[str]) -> None:
    """Delete files, as long as the transaction holds its lock."""
    ordered = in_deletion_order(files)
    batches = [ordered[:1], *(ordered[at : at + _BATCH] for at in range(1, len(ordered), _BATCH))]
    for batch in batches:
        # A connection that was lost has lost the lock with it; this raises then.
        session.execute(select(1))
        store.delete_keys(batch)
        fault_point("collector-deleting")


def _count(outcome: Outcome, freed: int | None) -> None:
    if freed is not None:
        outcome.collected += 1
        outcome.bytes += freed


def _waiting(plan: Plan, outcome: Outcome) -> int:
    return max(len(plan.items) - outcome.collected, 0)
