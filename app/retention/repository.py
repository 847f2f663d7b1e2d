"""SQL of retention: who keeps a snapshot, what is marked, and what all of it weighs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.core.ids import new_id
from app.evaluations.tables import Snapshot
from app.monitors.tables import Monitor
from app.registry.tables import Checkpoint, Model
from app.retention.tables import RetentionRun, RetiredArtifact


@dataclass(frozen=True)
class Keeper:
    """A monitor whose policy lets snapshots go, and the baseline that it has at this moment."""

    monitor_id: UUID
    keep_last: int
    baseline_id: UUID
    baseline_digest: str | None


# An evaluation is kept by its monitor when its checkpoint is among the newest N that have been
# evaluated, or when no N such checkpoints have come since: a failed one may still be retried.
_KEPT = """
    keepers AS (
        SELECT * FROM unnest(
            CAST(:monitors AS uuid[]), CAST(:lasts AS int[]),
            CAST(:baselines AS uuid[]), CAST(:digests AS text[])
        ) AS k(monitor_id, keep_last, baseline_id, baseline_digest)
    ),
    newest AS (
        SELECT e.monitor_id, e.checkpoint_id, max(e.created_at) AS at
        FROM evaluations e JOIN keepers k ON k.monitor_id = e.monitor_id
        WHERE e.state = 'succeeded' GROUP BY 1, 2
    ),
    ranked AS (
        SELECT *, row_number() OVER (
            PARTITION BY monitor_id ORDER BY at DESC, checkpoint_id DESC
        ) AS place
        FROM newest
    ),
    kept AS (
        SELECT e.id FROM evaluations e JOIN keepers k ON k.monitor_id = e.monitor_id
        WHERE EXISTS (
            SELECT FROM ranked r
            WHERE r.monitor_id = e.monitor_id AND r.checkpoint_id = e.checkpoint_id
                AND r.place <= k.keep_last
        ) OR NOT EXISTS (
            SELECT FROM ranked r
            WHERE r.monitor_id = e.monitor_id AND r.place = k.keep_last AND r.at > e.created_at
        )
        UNION SELECT first_evaluation_id FROM alerts WHERE state <> 'resolved'
        UNION SELECT last_evaluation_id FROM alerts WHERE state <> 'resolved'
        UNION SELECT CAST(evidence->>'evaluation' AS uuid) FROM alerts WHERE state <> 'resolved'
        UNION SELECT evaluation_id FROM repairs WHERE state IN ('proposed', 'accepted')
        UNION SELECT id FROM evaluations WHERE state IN ('queued', 'running')
    )
"""

# A no-op control is captured anew for every evaluation: as a baseline's it is of use to no other.
_DOOMED = f"""
    WITH {_KEPT}
    SELECT s.id, s.key, s.state, s.bytes, s.marked_at, m.name AS model, c.name AS checkpoint,
        s.inputs->>'purpose' AS purpose,
        ARRAY(
            SELECT DISTINCT o.name FROM evaluation_snapshots l
            JOIN evaluations e ON e.id = l.evaluation_id JOIN monitors o ON o.id = e.monitor_id
            WHERE l.snapshot_id = s.id ORDER BY 1
        ) AS monitors
    FROM snapshots s
    JOIN checkpoints c ON c.id = s.checkpoint_id JOIN models m ON m.id = c.model_id
    WHERE s.state <> 'collected'
    AND (CAST(:only AS uuid) IS NULL OR s.id = CAST(:only AS uuid))
    AND NOT EXISTS (
        SELECT FROM evaluation_snapshots l JOIN evaluations e ON e.id = l.evaluation_id
        LEFT JOIN keepers k ON k.monitor_id = e.monitor_id
        WHERE l.snapshot_id = s.id AND (
            k.monitor_id IS NULL
            OR e.id IN (SELECT id FROM kept WHERE id IS NOT NULL)
            OR (s.inputs->>'purpose' IS DISTINCT FROM 'no_op' AND (
                s.checkpoint_id = k.baseline_id OR s.inputs->>'weights_digest' = k.baseline_digest
            ))
        )
    )
    ORDER BY s.key
"""  # noqa: S608 - both parts are constants

_TABLES = f"""
    WITH {_KEPT}
    SELECT e.id, o.name AS monitor FROM evaluations e
    JOIN keepers k ON k.monitor_id = e.monitor_id JOIN monitors o ON o.id = e.monitor_id
    WHERE e.dictionary_id IS NOT NULL
    AND (CAST(:only AS uuid) IS NULL OR e.id = CAST(:only AS uuid))
    AND e.id NOT IN (SELECT id FROM kept WHERE id IS NOT NULL)
"""  # noqa: S608 - likewise


def monitors(session: Session) -> Sequence[tuple[Monitor, Model]]:
    """Every monitor with its model."""
    rows = session.execute(
        select(Monitor, Model).join(Model, Monitor.model_id == Model.id).order_by(Monitor.name)
    )
    return [(monitor, model) for monitor, model in rows]


def unkept_snapshots(
    session: Session, keepers: Sequence[Keeper], only: UUID | None = None
) -> Sequence[Any]:
    """(id, key, state, bytes, marked_at, model, checkpoint, purpose, monitors) that nobody keeps.

    Monitors that are no keepers keep everything.
    """
    return session.execute(text(_DOOMED), _parameters(keepers, only)).all()


def unkept_tables(
    session: Session, keepers: Sequence[Keeper], only: UUID | None = None
) -> dict[UUID, str]:
    """Ended evaluations of whole dictionaries that nobody keeps, with their monitors' names."""
    rows = session.execute(text(_TABLES), _parameters(keepers, only))
    return {row.id: row.monitor for row in rows}


def lock_snapshot(session: Session, snapshot_id: UUID) -> Snapshot | None:
    """A snapshot's row, locked as the ledger locks it."""
    return session.scalars(
        select(Snapshot)
        .where(Snapshot.id == snapshot_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).one_or_none()


def snapshot_id(session: Session, key: str) -> UUID | None:
    """The id of a snapshot by key."""
    return session.scalar(select(Snapshot.id).where(Snapshot.key == key))


def due_snapshots(session: Session, grace: timedelta) -> Sequence[UUID]:
    """Marked snapshots whose grace is over, and those whose deletion was interrupted."""
    over = Snapshot.marked_at <= func.clock_timestamp() - grace
    unfinished = (Snapshot.state == "collected") & Snapshot.collected_at.is_(None)
    return session.scalars(
        select(Snapshot.id).where(over | unfinished).order_by(Snapshot.key)
    ).all()


def unmark_all_but(session: Session, ids: Sequence[UUID]) -> int:
    """Take the mark off every snapshot that is kept again; how many there were."""
    touched = session.scalars(
        update(Snapshot)
        .where(
            Snapshot.marked_at.is_not(None), Snapshot.state != "collected", Snapshot.id.not_in(ids)
        )
        .values(marked_at=None)
        .returning(Snapshot.id)
    ).all()
    return len(touched)


def delete_unlinked_rows(session: Session) -> int:
    """Remove the rows of collected snapshots that no evaluation names; how many there were."""
    touched = session.scalars(
        text(
            "DELETE FROM snapshots s WHERE s.state = 'collected' AND s.collected_at IS NOT NULL "
            "AND NOT EXISTS (SELECT FROM evaluation_snapshots l WHERE l.snapshot_id = s.id) "
            "RETURNING s.id"
        )
    ).all()
    return len(touched)


def retire(session: Session, *, key: str, kind: str, reason: str, size: int) -> bool:
    """Mark an artifact; False if it was marked already."""
    row = session.execute(
        insert(RetiredArtifact)
        .values(key=key, kind=kind, reason=reason, bytes=size)
        .on_conflict_do_nothing(index_elements=[RetiredArtifact.key])
        .returning(RetiredArtifact.key)
    )
    return row.first() is not None


def retired(session: Session) -> dict[str, datetime]:
    """Marked artifacts by key, and since when."""
    rows = session.execute(select(RetiredArtifact.key, RetiredArtifact.marked_at))
    return {row.key: row.marked_at for row in rows}


def due_artifacts(session: Session, grace: timedelta) -> Sequence[RetiredArtifact]:
    """Marked artifacts whose grace is over."""
    return session.scalars(
        select(RetiredArtifact)
        .where(RetiredArtifact.marked_at <= func.clock_timestamp() - grace)
        .order_by(RetiredArtifact.key)
    ).all()


def forget_artifacts(session: Session, keys: Iterable[str]) -> None:
    """Take marks off artifacts."""
    session.execute(delete(RetiredArtifact).where(RetiredArtifact.key.in_(list(keys))))


def note_collected_tables(session: Session, evaluation_id: UUID) -> None:
    """Let an evaluation say that the tables of all its latents are gone."""
    session.execute(
        text(
            "UPDATE evaluations SET summary = coalesce(summary, '{}') || "
            "'{\"tables_collected\": true}' WHERE id = :id"
        ),
        {"id": evaluation_id},
    )


def start_run(session: Session, scope: str) -> UUID:
    """Record that a run begins."""
    run = RetentionRun(id=new_id(), scope=scope)
    session.add(run)
    session.flush()
    return run.id


def finish_run(session: Session, run_id: UUID, outcome: dict[str, Any]) -> None:
    """Record how a run ended."""
    session.execute(
        update(RetentionRun)
        .where(RetentionRun.id == run_id)
        .values(finished_at=func.clock_timestamp(), outcome=outcome)
    )


def seconds_since_run(session: Session) -> float | None:
    """How long ago the last finished run ended; None if none has."""
    last = func.max(RetentionRun.finished_at)
    age = session.scalar(select(func.extract("epoch", func.clock_timestamp() - last)))
    return float(age) if age is not None else None


def sizes(connection: Connection | Session) -> Sequence[Any]:
    """(model, snapshots, bytes) of every model that has snapshots in the store."""
    return connection.execute(
        select(
            Model.name.label("model"),
            func.count().label("snapshots"),
            func.coalesce(func.sum(Snapshot.bytes), 0).label("bytes"),
        )
        .join(Checkpoint, Checkpoint.id == Snapshot.checkpoint_id)
        .join(Model, Model.id == Checkpoint.model_id)
        .where(Snapshot.state == "complete")
        .group_by(Model.name)
        .order_by(Model.name)
    ).all()


def _parameters(keepers: Sequence[Keeper], only: UUID | None) -> dict[str, Any]:
    return {
        "monitors": [str(one.monitor_id) for one in keepers],
        "lasts": [one.keep_last for one in keepers],
        "baselines": [str(one.baseline_id) for one in keepers],
        "digests": [one.baseline_digest for one in keepers],
        "only": str(only) if only is not None else None,
    }
