"""The job ledger: who works on which shard, under which lease, and what became of it.

Postgres is the truth; a broker message only says "look at shard N". A worker claims a shard with
one conditional UPDATE; every later write is fenced by the pair (shard id, attempt), so that a
worker that has lost its lease changes no row. All times are the database's.

Locks are always taken in the order snapshots (by key), evaluations (by id), shards; each in mode
NO KEY UPDATE. Whoever needs only a later one starts there. A monitor's row, locked for its page
budget or its alerts, comes after them, then alerts, then webhooks. Hence no deadlock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update
from sqlalchemy.orm import Session

from app.alerts.service import follow_all
from app.core import correlation
from app.core.correlation import Correlation
from app.core.errors import ConflictError, NotFoundError
from app.core.ids import new_id
from app.evaluations import outbox
from app.evaluations.tables import Evaluation, Shard
from app.webhooks.finished import emit_finished

OPEN = ("queued", "running")
RETRYABLE = ("failed", "cancelled")
STOPPED_ANSWERING = "stopped answering: it was killed, ran out of memory, or was cut off"
_BACKOFF_SECONDS = 0.5


class StaleAttempt(Exception):  # noqa: N818 - a signal to stop, not a mistake
    """The shard is no longer this worker's: its lease was lost or its evaluation cancelled."""


@dataclass(frozen=True)
class Claim:
    """One attempt at one shard; `(shard_id, attempt)` fences every write made under it."""

    shard_id: UUID
    attempt: int
    kind: str
    evaluation_id: UUID | None
    snapshot_id: UUID | None
    position: int
    first_batch: int | None
    stop_batch: int | None
    request_id: str | None
    traceparent: str | None

    @property
    def cause(self) -> Correlation:
        """The request that the shard is worked on for."""
        return Correlation(self.request_id, self.traceparent)


def failure(code: str, detail: str) -> dict[str, str]:
    """An error as the ledger stores it."""
    return {"code": code, "detail": detail}


def open_shard(
    session: Session,
    *,
    kind: str,
    evaluation_id: UUID | None = None,
    snapshot_id: UUID | None = None,
    position: int = 0,
    first_batch: int | None = None,
    stop_batch: int | None = None,
) -> Shard:
    """Insert a queued shard and the message that announces it, in the caller's transaction.

    An evaluation's own shards were caused by what caused the evaluation, whoever opens them; a
    snapshot's, by what its opener works for.
    """
    cause = correlation.current()
    if evaluation_id is not None:
        evaluation = session.get_one(Evaluation, evaluation_id)
        cause = Correlation(evaluation.request_id, evaluation.traceparent)
    shard = Shard(
        id=new_id(),
        kind=kind,
        evaluation_id=evaluation_id,
        snapshot_id=snapshot_id,
        position=position,
        first_batch=first_batch,
        stop_batch=stop_batch,
        request_id=cause.request_id,
        traceparent=cause.traceparent,
    )
    session.add(shard)
    session.flush()
    outbox.announce(session, [shard.id])
    return shard


def claim(
    session: Session, shard_id: UUID, *, worker: str, lease_seconds: float, max_attempts: int
) -> Claim | None:
    """Take a shard: queued, or running under an expired lease, with attempts left.

    One conditional UPDATE, so that of any number of simultaneous claims one wins. None says that
    there is nothing to do here: somebody else has it, or it is finished, failed or cancelled.
    """
    row = session.execute(
        update(Shard)
        .where(Shard.id == shard_id, claimable(), Shard.attempt < max_attempts)
        .values(
            state="running",
            attempt=Shard.attempt + 1,
            worker=worker,
            started_at=func.clock_timestamp(),
            lease_expires_at=_lease(lease_seconds),
        )
        .returning(
            Shard.id.label("shard_id"),
            Shard.attempt,
            Shard.kind,
            Shard.evaluation_id,
            Shard.snapshot_id,
            Shard.position,
            Shard.first_batch,
            Shard.stop_batch,
            Shard.request_id,
            Shard.traceparent,
        )
    ).one_or_none()
    return Claim(**row._mapping) if row is not None else None


def heartbeat(session: Session, claim: Claim, *, lease_seconds: float) -> bool:
    """Extend the lease; False when the shard is no longer this attempt's."""
    touched = session.execute(
        update(Shard)
        .where(_held(claim))
        .values(lease_expires_at=_lease(lease_seconds))
        .returning(Shard.id)
    )
    return touched.first() is not None


def fence(session: Session, claim: Claim, **values: Any) -> None:
    """Change the claimed shard's row, if it is still this attempt's.

    Raises:
        StaleAttempt: it is not; the caller's transaction must be rolled back.
    """
    touched = session.execute(
        update(Shard).where(_held(claim)).values(**values).returning(Shard.id)
    )
    if touched.first() is None:
        raise StaleAttempt(f"shard {claim.shard_id}, attempt {claim.attempt}")


def finish(session: Session, claim: Claim) -> None:
    """Mark the claimed shard succeeded.

    Raises:
        StaleAttempt: it is no longer this attempt's.
    """
    fence(
        session,
        claim,
        state="succeeded",
        error=None,
        lease_expires_at=None,
        finished_at=func.clock_timestamp(),
    )


def longest_pause(max_attempts: int) -> timedelta:
    """How far ahead a message is ever put off."""
    return timedelta(seconds=_BACKOFF_SECONDS * 4 ** (max_attempts - 1))


def requeue(session: Session, claim: Claim, error: dict[str, str]) -> None:
    """Put the claimed shard back after a transient failure, to be tried again a little later.

    Raises:
        StaleAttempt: it is no longer this attempt's.
    """
    fence(
        session,
        claim,
        state="queued",
        error=error,
        lease_expires_at=None,
        worker=None,
        queued_at=func.clock_timestamp(),
    )
    outbox.announce(session, [claim.shard_id], delay=_BACKOFF_SECONDS * 4 ** (claim.attempt - 1))


def start_evaluation(session: Session, evaluation_id: UUID) -> None:
    """Record that work on an evaluation has begun."""
    session.execute(
        update(Evaluation)
        .where(Evaluation.id == evaluation_id, Evaluation.state == "queued")
        .values(state="running", started_at=func.clock_timestamp())
    )


def lock_evaluation(session: Session, evaluation_id: UUID) -> Evaluation:
    """The evaluation's row, locked and read afresh.

    Raises:
        NotFoundError: there is none with that id.
    """
    evaluation = session.scalars(
        select(Evaluation)
        .where(Evaluation.id == evaluation_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if evaluation is None:
        raise NotFoundError(
            f"no evaluation has the id {evaluation_id}", field="id", value=str(evaluation_id)
        )
    return evaluation


def end_evaluations(
    session: Session, evaluation_ids: Sequence[UUID], *, state: str, error: dict[str, str] | None
) -> None:
    """End open evaluations, whose rows the caller has locked, and cancel their own open shards.

    Snapshots that nobody needs any more are released by the dispatcher's sweep, because a
    snapshot's lock must not be asked for while an evaluation's is held.
    """
    ended = session.scalars(
        update(Evaluation)
        .where(Evaluation.id.in_(evaluation_ids), Evaluation.state.in_(OPEN))
        .values(state=state, error=error, finished_at=func.clock_timestamp())
        .returning(Evaluation.id)
    ).all()
    cancel_shards(session, Shard.evaluation_id.in_(evaluation_ids))
    follow_all(session, ended)
    emit_finished(session, ended)


def cancel_shards(session: Session, where: ColumnElement[bool]) -> None:
    """Cancel open shards; a worker that runs one of them learns it at its next heartbeat."""
    session.execute(
        update(Shard)
        .where(where, Shard.state.in_(OPEN))
        .values(state="cancelled", lease_expires_at=None, finished_at=func.clock_timestamp())
    )


def cancel_evaluation(session: Session, evaluation_id: UUID) -> Evaluation:
    """Cancel an evaluation that has not ended.

    Raises:
        NotFoundError: there is none with that id.
        ConflictError: it has ended already.
    """
    evaluation = lock_evaluation(session, evaluation_id)
    if evaluation.state not in OPEN:
        raise ConflictError(
            f"the evaluation is {evaluation.state} and can no longer be cancelled",
            code="evaluation_ended",
            field="state",
            value=evaluation.state,
        )
    end_evaluations(session, [evaluation_id], state="cancelled", error=None)
    session.refresh(evaluation)
    return evaluation


def retry_evaluation(session: Session, evaluation_id: UUID) -> Evaluation:
    """Start a failed or cancelled evaluation again, with all its attempts.

    It is planned anew: sources are read again, snapshots that are complete are kept, and those
    that failed are captured again. Its shards are new rows, not old ones with attempt 0, because a
    straggler of the first run would hold the same fence as a new claim.

    Raises:
        NotFoundError: there is none with that id.
        ConflictError: it has not failed.
    """
    evaluation = lock_evaluation(session, evaluation_id)
    if evaluation.state not in RETRYABLE:
        raise ConflictError(
            f"the evaluation is {evaluation.state}; only a failed or cancelled one can be retried",
            code="evaluation_not_retryable",
            field="state",
            value=evaluation.state,
        )
    session.execute(delete(Shard).where(Shard.evaluation_id == evaluation_id))
    evaluation.state, evaluation.step = "queued", "plan"
    evaluation.error = evaluation.summary = None
    evaluation.started_at = evaluation.finished_at = None
    cause = correlation.current()
    evaluation.request_id, evaluation.traceparent = cause.request_id, cause.traceparent
    open_shard(session, kind="plan", evaluation_id=evaluation_id)
    return evaluation


def claimable() -> ColumnElement[bool]:
    """A shard that nobody holds: queued, or running under an expired lease."""
    return or_(Shard.state == "queued", lapsed())


def lapsed() -> ColumnElement[bool]:
    """A shard whose worker has stopped answering."""
    return and_(Shard.state == "running", Shard.lease_expires_at < func.clock_timestamp())


def _held(claim: Claim) -> ColumnElement[bool]:
    return and_(
        Shard.id == claim.shard_id, Shard.attempt == claim.attempt, Shard.state == "running"
    )


def _lease(seconds: float) -> ColumnElement[Any]:
    return func.clock_timestamp() + timedelta(seconds=seconds)
