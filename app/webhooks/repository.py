"""SQL of webhooks, and of their delivery log."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, delete, func, insert, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.core.database import UNRESTRICTED
from app.core.ids import new_id
from app.core.rows import newest_first
from app.webhooks.tables import Delivery, Webhook


def counts_by_state(connection: Connection | Session) -> dict[str, int]:
    """How many deliveries are `pending` and how many have `failed`; both are always there.

    Delivered ones are not counted: they are the bulk of the log, and no gauge of anything.
    """
    rows = connection.execute(
        select(Delivery.state, func.count())
        .where(Delivery.state.in_(("pending", "failed")))
        .group_by(Delivery.state)
    )
    counts = {"pending": 0, "failed": 0}
    for state, count in rows:
        counts[state] = count
    return counts


def add_webhook(session: Session, **values: Any) -> Webhook:
    """A new webhook."""
    webhook = Webhook(id=new_id(), **values)
    session.add(webhook)
    session.flush()
    session.refresh(webhook)
    return webhook


def get_webhook(session: Session, webhook_id: UUID, *, lock: bool = False) -> Webhook | None:
    """A webhook; locked so that events can still be addressed to it meanwhile."""
    statement = select(Webhook).where(Webhook.id == webhook_id)
    if lock:
        statement = statement.with_for_update(key_share=True)
    return session.scalars(statement.execution_options(populate_existing=lock)).one_or_none()


def list_webhooks(
    session: Session, *, enabled: bool | None, after: UUID | None, limit: int
) -> Sequence[Webhook]:
    """Webhooks, newest first, one more than `limit`."""
    statement = select(Webhook)
    if enabled is not None:
        statement = statement.where(Webhook.enabled == enabled)
    return session.scalars(newest_first(statement, Webhook.id, after, limit)).all()


def delete_webhook(session: Session, webhook_id: UUID) -> None:
    """Remove a webhook and its deliveries, the pending ones too."""
    session.execute(delete(Webhook).where(Webhook.id == webhook_id))


def matching_webhooks(
    session: Session, event: str, *, model: str, monitor: str | None
) -> Sequence[UUID]:
    """Enabled webhooks that want this event, kept from being deleted until the transaction ends."""
    statement = (
        select(Webhook.id)
        .where(
            Webhook.enabled,
            _wants(Webhook.events, event),
            _wants(Webhook.models, model),
            _wants(Webhook.monitors, monitor),
        )
        .order_by(Webhook.id)
        .with_for_update(read=True, key_share=True)
        # What a bound key brings about is told to everybody who wants to know of it.
        .execution_options(**{UNRESTRICTED: True})
    )
    return session.scalars(statement).all()


def add_deliveries(session: Session, webhook_ids: Sequence[UUID], **values: Any) -> list[UUID]:
    """One pending delivery for each webhook; their ids."""
    rows = [{"id": new_id(), "webhook_id": one, "log": [], **values} for one in webhook_ids]
    if rows:
        session.execute(insert(Delivery), rows)
    return [row["id"] for row in rows]


def get_delivery(
    session: Session, webhook_id: UUID, delivery_id: UUID, *, lock: bool = False
) -> Delivery | None:
    """A delivery of this webhook."""
    statement = select(Delivery).where(
        Delivery.id == delivery_id, Delivery.webhook_id == webhook_id
    )
    if lock:
        statement = statement.with_for_update(key_share=True)
    return session.scalars(statement.execution_options(populate_existing=lock)).one_or_none()


def list_deliveries(
    session: Session,
    webhook_id: UUID,
    *,
    state: str | None,
    event: str | None,
    after: UUID | None,
    limit: int,
) -> Sequence[Delivery]:
    """Deliveries of a webhook, newest first, one more than `limit`."""
    statement = select(Delivery).where(Delivery.webhook_id == webhook_id)
    if state is not None:
        statement = statement.where(Delivery.state == state)
    if event is not None:
        statement = statement.where(Delivery.event == event)
    return session.scalars(newest_first(statement, Delivery.id, after, limit)).all()


def _wants(column: InstrumentedAttribute[list[str]], value: str | None) -> ColumnElement[bool]:
    everything = func.jsonb_array_length(column) == 0
    return everything if value is None else or_(everything, column.contains([value]))
