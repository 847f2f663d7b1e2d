"""The outbox: messages to the broker, written with the state that they belong to.

A row says "look at shard N", nothing more. It becomes visible when its transaction commits, and the
dispatcher hears of it by NOTIFY at that same moment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, exists, func, insert, select, update
from sqlalchemy.orm import Session

from app.core.correlation import Correlation
from app.evaluations.tables import OutboxMessage, Shard

CHANNEL = "featuredrift_outbox"
KEEP_PUBLISHED = timedelta(hours=1)


@dataclass(frozen=True)
class Message:
    """What the broker is to be told, and what caused it."""

    id: int
    shard_id: UUID
    cause: Correlation


def announce(session: Session, shard_ids: Sequence[UUID], *, delay: float = 0.0) -> None:
    """Put one message for each shard into the outbox, to be published after `delay` seconds."""
    if not shard_ids:
        return
    available_at = func.now() + timedelta(seconds=delay)
    session.execute(
        insert(OutboxMessage).from_select(
            ["shard_id", "available_at", "request_id", "traceparent"],
            select(Shard.id, available_at, Shard.request_id, Shard.traceparent)
            .where(Shard.id.in_(shard_ids))
            .order_by(Shard.id),
        )
    )
    session.execute(update(Shard).where(Shard.id.in_(shard_ids)).values(announced_at=available_at))
    session.execute(select(func.pg_notify(CHANNEL, "")))


def due(session: Session, limit: int) -> list[Message]:
    """What is to be published now, oldest first."""
    rows = session.execute(
        select(
            OutboxMessage.id,
            OutboxMessage.shard_id,
            OutboxMessage.request_id,
            OutboxMessage.traceparent,
        )
        .where(OutboxMessage.published_at.is_(None), OutboxMessage.available_at <= func.now())
        .order_by(OutboxMessage.id)
        .limit(limit)
    )
    return [
        Message(row.id, row.shard_id, Correlation(row.request_id, row.traceparent)) for row in rows
    ]


def causes(session: Session, shard_ids: Sequence[UUID]) -> dict[UUID, Correlation]:
    """What caused some shards, by their ids."""
    rows = session.execute(
        select(Shard.id, Shard.request_id, Shard.traceparent).where(Shard.id.in_(shard_ids))
    )
    return {row.id: Correlation(row.request_id, row.traceparent) for row in rows}


def mark_published(session: Session, message_ids: Sequence[int]) -> None:
    """Record that the broker has taken these messages."""
    session.execute(
        update(OutboxMessage)
        .where(OutboxMessage.id.in_(message_ids))
        .values(published_at=func.now())
    )


def purge_published(session: Session) -> None:
    """Delete messages whose publication is long past; they are of no use to anybody."""
    session.execute(
        delete(OutboxMessage).where(OutboxMessage.published_at < func.now() - KEEP_PUBLISHED)
    )


def announce_all_queued(session: Session) -> int:
    """Announce every queued shard again, for a broker that has lost its memory.

    Shards with a message still to be published are left out. Returns how many were announced.
    """
    waiting = exists().where(
        OutboxMessage.shard_id == Shard.id, OutboxMessage.published_at.is_(None)
    )
    ids = session.scalars(select(Shard.id).where(Shard.state == "queued", ~waiting)).all()
    announce(session, ids)
    return len(ids)
