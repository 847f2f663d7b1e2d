"""The sweep: finds what workers, brokers or networks have dropped, and puts it back.

Each function is one short transaction's work, safe to run at any time and by any number of
dispatchers at once.
"""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import exists, func, select, update
from sqlalchemy.orm import Session

from app.evaluations import ledger, outbox
from app.evaluations.tables import OutboxMessage, Shard

_LONGEST_SILENCE = timedelta(hours=1)
_TOLERANCE = timedelta(seconds=1)


def forget_lost_time(session: Session, *, lease_seconds: float, max_attempts: int) -> None:
    """Bring back times that lie further ahead than anything is ever put off.

    The database's clock was set back since they were written: a dead worker's lease would last, and
    a message would be put off, until the clock has caught up.
    """
    present = func.clock_timestamp()
    lease = timedelta(seconds=lease_seconds)
    pause = ledger.longest_pause(max_attempts) + _TOLERANCE
    for statement in (
        update(Shard)
        .where(Shard.state == "running", Shard.lease_expires_at > present + 2 * lease)
        .values(lease_expires_at=present + lease),
        update(Shard)
        .where(Shard.state == "queued", Shard.announced_at > present + pause)
        .values(announced_at=present, queued_at=present),
        update(OutboxMessage)
        .where(OutboxMessage.published_at.is_(None), OutboxMessage.available_at > present + pause)
        .values(available_at=present),
    ):
        session.execute(statement)


def requeue_lapsed(session: Session, max_attempts: int) -> list[UUID]:
    """Put shards with an expired lease and attempts left back into the queue; returns them."""
    lapsed = (
        select(Shard.id)
        .where(ledger.lapsed(), Shard.attempt < max_attempts)
        .order_by(Shard.id)
        .with_for_update(key_share=True, skip_locked=True)
    )
    requeued = session.scalars(
        update(Shard)
        .where(Shard.id.in_(lapsed))
        .values(
            state="queued",
            lease_expires_at=None,
            queued_at=func.clock_timestamp(),
            error=func.jsonb_build_object(
                "code",
                "worker_lost",
                "detail",
                func.concat("worker ", Shard.worker, " ", ledger.STOPPED_ANSWERING),
            ),
        )
        .returning(Shard.id)
    ).all()
    outbox.announce(session, requeued)
    return list(requeued)


def exhausted(session: Session, max_attempts: int) -> list[UUID]:
    """Shards that nobody holds and that have no attempts left."""
    return list(
        session.scalars(
            select(Shard.id)
            .where(ledger.claimable(), Shard.attempt >= max_attempts)
            .order_by(Shard.id)
        )
    )


def reannounce_unclaimed(session: Session, after_seconds: float) -> list[UUID]:
    """Announce queued shards again whose published message nobody has acted on; returns them.

    The wait doubles with each announcement (up to an hour), so that a long queue, where silence is
    no sign of loss, is not flooded with duplicates.
    """
    silence = func.clock_timestamp() - Shard.announced_at
    patience = func.least(
        func.greatest(timedelta(seconds=after_seconds), Shard.announced_at - Shard.queued_at),
        _LONGEST_SILENCE,
    )
    unpublished = exists().where(
        OutboxMessage.shard_id == Shard.id, OutboxMessage.published_at.is_(None)
    )
    forgotten = session.scalars(
        select(Shard.id)
        .where(Shard.state == "queued", silence > patience, ~unpublished)
        .order_by(Shard.id)
        .with_for_update(key_share=True, skip_locked=True)
    ).all()
    outbox.announce(session, forgotten)
    return list(forgotten)
