"""From planned snapshots to complete or failed ones, and what that means for evaluations.

Everything here keeps the lock order of `ledger`: snapshots by key, evaluations by id, shards.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.core.artifact_locks import hold
from app.core.ids import new_id
from app.evaluations import ledger
from app.evaluations.ledger import OPEN, Claim, StaleAttempt
from app.evaluations.tables import Evaluation, EvaluationSnapshot, Shard, Snapshot


@dataclass(frozen=True)
class SnapshotNeed:
    """A snapshot that an evaluation needs, and how it would be captured if nobody has done so."""

    role: str
    key: str
    checkpoint_id: UUID
    inputs: dict[str, Any]
    plan: dict[str, Any]
    shards: Sequence[tuple[int, int]]
    """The batches of each shard: first, and one past the last."""


def plan_evaluation(
    session: Session,
    claim: Claim,
    needs: Sequence[SnapshotNeed],
    *,
    vanished: Collection[str] = (),
    unusable: Mapping[str, str] | None = None,
) -> None:
    """Finish a plan shard: link the evaluation to its snapshots and enqueue what is missing.

    Snapshots are found by key, so that two evaluations that need the same one compute it once. A
    failed or collected one is captured again, and a mark of the collector's is taken off. If all
    are complete, the comparison is enqueued at once.

    Args:
        vanished: keys of complete snapshots whose artifact is no longer in the store.
        unusable: why an optional side (by role) cannot be captured, so that `needs` lacks it.

    Raises:
        StaleAttempt: the claim is lost; the transaction must be rolled back.
    """
    by_key = {need.key: need for need in sorted(needs, key=lambda need: need.key)}
    snapshots = {key: _ensure(session, need) for key, need in by_key.items()}
    if claim.evaluation_id is None:
        raise ValueError(f"shard {claim.shard_id} is a plan without an evaluation")
    evaluation = ledger.lock_evaluation(session, claim.evaluation_id)
    ledger.finish(session, claim)
    if evaluation.state not in OPEN:
        raise StaleAttempt(f"evaluation {evaluation.id} is {evaluation.state}")
    session.execute(
        delete(EvaluationSnapshot).where(EvaluationSnapshot.evaluation_id == evaluation.id)
    )
    session.add_all(
        EvaluationSnapshot(
            evaluation_id=evaluation.id, role=need.role, snapshot_id=snapshots[need.key].id
        )
        for need in needs
    )
    for role, reason in (unusable or {}).items():
        _note_without(evaluation, role, reason)
    for key, snapshot in snapshots.items():
        _enqueue_missing(session, snapshot, by_key[key], lost=key in vanished)
    evaluation.step = "capture"
    session.flush()
    _open_comparisons(session, [evaluation.id])


def is_last_of_snapshot(session: Session, claim: Claim) -> bool:
    """Finish a capture shard unless it is the snapshot's last unfinished one.

    True says that it is the last: its worker still holds the claim, writes the manifest, and then
    calls `complete_snapshot`. Should it die before, the shard is claimed again. The lock on the
    snapshot makes exactly one of two simultaneous shards the last.

    Raises:
        StaleAttempt: the claim is lost.
    """
    snapshot = _lock_snapshot(session, claim.snapshot_id)
    unfinished = session.scalar(
        select(func.count()).where(
            Shard.snapshot_id == snapshot.id, Shard.id != claim.shard_id, Shard.state != "succeeded"
        )
    )
    if unfinished:
        ledger.finish(session, claim)
        return False
    ledger.fence(session, claim, error=None)
    return True


def complete_snapshot(
    session: Session, claim: Claim, manifest: dict[str, Any], *, size: int | None = None
) -> None:
    """Mark a snapshot complete and enqueue the comparisons that waited for nothing else.

    Args:
        size: bytes of its files in the artifact store.

    Raises:
        StaleAttempt: the claim is lost.
    """
    snapshot = _lock_snapshot(session, claim.snapshot_id)
    waiting = _lock_waiting(session, snapshot.id)
    ledger.finish(session, claim)
    snapshot.state, snapshot.error, snapshot.manifest = "complete", None, manifest
    snapshot.completed_at, snapshot.bytes = func.clock_timestamp(), size
    session.flush()
    _open_comparisons(session, waiting)


def is_complete_for(session: Session, claim: Claim, key: str) -> bool:
    """Lock a snapshot for who found its files damaged; whether they are still those it found.

    False says that it was collected or is captured anew meanwhile: what lies there is others' now.

    Raises:
        StaleAttempt: the claim is lost, and with it the say in what becomes of the files.
    """
    state = session.scalar(
        select(Snapshot.state).where(Snapshot.key == key).with_for_update(key_share=True)
    )
    ledger.fence(session, claim, error=None)
    return state == "complete"


def fail_permanently(session: Session, claim: Claim, error: dict[str, str]) -> None:
    """Fail the claimed shard, and with it every evaluation that needs it, with the reason.

    An evaluation that needs it for the step from the previous checkpoint alone, or as one more
    measure of the noise, goes on without: a broken checkpoint must not condemn the others.

    Raises:
        StaleAttempt: the claim is lost.
    """
    _fail(session, claim.shard_id, claim.attempt, Shard.state == "running", error)


def fail_exhausted(session: Session, shard_id: UUID, max_attempts: int) -> bool:
    """Fail a shard that nobody holds and that has no attempts left; False if it is not so."""
    shard = session.get(Shard, shard_id, populate_existing=True)
    if shard is None or shard.attempt < max_attempts:
        return False
    last = (shard.error or {}).get("detail", "no error was recorded")
    if shard.state == "running":
        last = f"worker {shard.worker} {ledger.STOPPED_ANSWERING}"
    times = "once" if shard.attempt == 1 else f"{shard.attempt} times"
    error = ledger.failure(
        "attempts_exhausted",
        f"{_describe(session, shard)} was tried {times} without finishing. Last: {last}",
    )
    try:
        _fail(session, shard_id, shard.attempt, ledger.claimable(), error)
    except StaleAttempt:
        return False
    return True


def release_unneeded(session: Session, snapshot_id: UUID) -> None:
    """Cancel a pending snapshot's open shards if no open evaluation needs it any more."""
    snapshot = _lock_snapshot(session, snapshot_id)
    if snapshot.state == "pending" and not session.scalar(
        select(exists().where(*_open_links(snapshot.id)))
    ):
        ledger.cancel_shards(session, Shard.snapshot_id == snapshot.id)


def unneeded(session: Session) -> list[UUID]:
    """Pending snapshots with open shards that no open evaluation needs."""
    return list(
        session.scalars(
            select(Snapshot.id)
            .where(
                Snapshot.state == "pending",
                exists().where(Shard.snapshot_id == Snapshot.id, Shard.state.in_(OPEN)),
                ~exists().where(
                    EvaluationSnapshot.snapshot_id == Snapshot.id,
                    Evaluation.id == EvaluationSnapshot.evaluation_id,
                    Evaluation.state.in_(OPEN),
                ),
            )
            .order_by(Snapshot.key)
        )
    )


def _ensure(session: Session, need: SnapshotNeed) -> Snapshot:
    # A collector that is deleting under this key is waited for, and then finds it referred to.
    hold(session, [f"snapshots/{need.key}"])
    session.execute(
        insert(Snapshot)
        .values(
            id=new_id(),
            key=need.key,
            checkpoint_id=need.checkpoint_id,
            inputs=need.inputs,
            plan=need.plan,
            state="pending",
        )
        .on_conflict_do_nothing(index_elements=[Snapshot.key])
    )
    snapshot = session.scalars(
        select(Snapshot)
        .where(Snapshot.key == need.key)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).one()
    snapshot.marked_at = None
    return snapshot


def _enqueue_missing(
    session: Session, snapshot: Snapshot, need: SnapshotNeed, *, lost: bool
) -> None:
    """Open shards for what nobody has captured or is about to; their rows are always new ones."""
    if snapshot.state == "complete" and not lost:
        return
    shards = session.scalars(select(Shard).where(Shard.snapshot_id == snapshot.id)).all()
    if snapshot.state != "pending" or not shards:
        session.execute(delete(Shard).where(Shard.snapshot_id == snapshot.id))
        snapshot.state, snapshot.error, snapshot.manifest = "pending", None, None
        snapshot.completed_at = snapshot.bytes = snapshot.collected_at = None
        snapshot.checkpoint_id, snapshot.plan = need.checkpoint_id, need.plan
        ranges: dict[int, tuple[int | None, int | None]] = dict(enumerate(need.shards))
    else:
        again = [shard for shard in shards if shard.state in ledger.RETRYABLE]
        session.execute(delete(Shard).where(Shard.id.in_([shard.id for shard in again])))
        ranges = {shard.position: (shard.first_batch, shard.stop_batch) for shard in again}
    session.flush()
    for position, (first, stop) in sorted(ranges.items()):
        ledger.open_shard(
            session,
            kind="capture",
            snapshot_id=snapshot.id,
            position=position,
            first_batch=first,
            stop_batch=stop,
        )


def _open_comparisons(session: Session, evaluation_ids: Sequence[UUID]) -> None:
    """Enqueue the comparison of those locked evaluations all of whose snapshots are complete."""
    ready = session.scalars(
        select(Evaluation.id)
        .where(
            Evaluation.id.in_(evaluation_ids),
            ~exists().where(
                EvaluationSnapshot.evaluation_id == Evaluation.id,
                Snapshot.id == EvaluationSnapshot.snapshot_id,
                Snapshot.state != "complete",
            ),
            ~exists().where(Shard.evaluation_id == Evaluation.id, Shard.kind == "compare"),
        )
        .order_by(Evaluation.id)
    ).all()
    for evaluation_id in ready:
        ledger.open_shard(session, kind="compare", evaluation_id=evaluation_id)
    session.execute(update(Evaluation).where(Evaluation.id.in_(ready)).values(step="compare"))


def _fail(
    session: Session,
    shard_id: UUID,
    attempt: int,
    where: ColumnElement[bool],
    error: dict[str, str],
) -> None:
    shard = session.get(Shard, shard_id)
    if shard is None:
        # The evaluation was started again meanwhile, with shards of its own.
        raise StaleAttempt(f"shard {shard_id}, attempt {attempt}")
    snapshot = None
    if shard.snapshot_id is not None:
        snapshot = _lock_snapshot(session, shard.snapshot_id)
        affected = _lock_waiting(session, snapshot.id)
    else:
        assert shard.evaluation_id is not None  # noqa: S101 - the table's check "one_owner"
        affected = [ledger.lock_evaluation(session, shard.evaluation_id).id]
    touched = session.execute(
        update(Shard)
        .where(Shard.id == shard_id, Shard.attempt == attempt, where)
        .values(
            state="failed",
            error=error,
            lease_expires_at=None,
            finished_at=func.clock_timestamp(),
        )
        .returning(Shard.id)
    )
    if touched.first() is None:
        raise StaleAttempt(f"shard {shard_id}, attempt {attempt}")
    if snapshot is not None:
        snapshot.state, snapshot.error = "failed", error
        session.flush()
        ledger.cancel_shards(session, Shard.snapshot_id == snapshot.id)
        spared = _spare(session, snapshot.id, affected, error["detail"])
        affected = [one for one in affected if one not in spared]
        _open_comparisons(session, sorted(spared))
    ledger.end_evaluations(session, affected, state="failed", error=error)


def _spare(
    session: Session, snapshot_id: UUID, evaluation_ids: Sequence[UUID], reason: str
) -> set[UUID]:
    """Unlink a failed snapshot from those locked evaluations that need it for optional sides."""
    links = session.scalars(
        select(EvaluationSnapshot).where(
            EvaluationSnapshot.snapshot_id == snapshot_id,
            EvaluationSnapshot.evaluation_id.in_(evaluation_ids),
        )
    ).all()
    needed = {link.evaluation_id for link in links if not is_optional(link.role)}
    spared = [link for link in links if link.evaluation_id not in needed]
    for link in spared:
        evaluation = session.get_one(Evaluation, link.evaluation_id, populate_existing=True)
        _note_without(evaluation, link.role, reason)
        session.delete(link)
    session.flush()
    return {link.evaluation_id for link in spared}


def is_optional(role: str) -> bool:
    """Whether an evaluation goes on without this side if it cannot be captured.

    The step from the previous checkpoint is a second comparison, and a benign checkpoint one more
    measure of the noise; neither is any fault of the candidate's.
    """
    return role == "previous" or role.startswith("benign:")


def _note_without(evaluation: Evaluation, role: str, reason: str) -> None:
    summary = evaluation.summary or {}
    if role == "previous":
        evaluation.summary = summary | {"without_previous": reason}
    else:
        without = summary.get("without_benign", {}) | {role: reason}
        evaluation.summary = summary | {"without_benign": without}


def _lock_snapshot(session: Session, snapshot_id: UUID | None) -> Snapshot:
    return session.scalars(
        select(Snapshot)
        .where(Snapshot.id == snapshot_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).one()


def _lock_waiting(session: Session, snapshot_id: UUID) -> list[UUID]:
    """Open evaluations that need the locked snapshot, locked.

    One that was started again and is not planned yet waits for its plan alone: what its first run
    needed neither ends it nor opens its comparison.
    """
    unplanned = exists().where(
        Shard.evaluation_id == Evaluation.id, Shard.kind == "plan", Shard.state != "succeeded"
    )
    return list(
        session.scalars(
            select(Evaluation.id)
            .where(
                exists().where(*_open_links(snapshot_id)), ~unplanned, Evaluation.state.in_(OPEN)
            )
            .order_by(Evaluation.id)
            .with_for_update(key_share=True)
        )
    )


def _open_links(snapshot_id: UUID) -> tuple[ColumnElement[bool], ...]:
    return (
        EvaluationSnapshot.snapshot_id == snapshot_id,
        Evaluation.id == EvaluationSnapshot.evaluation_id,
        Evaluation.state.in_(OPEN),
    )


def _describe(session: Session, shard: Shard) -> str:
    if shard.snapshot_id is None:
        return f"the {shard.kind} step"
    total = session.scalar(select(func.count()).where(Shard.snapshot_id == shard.snapshot_id))
    return f"capture shard {shard.position + 1} of {total}"
