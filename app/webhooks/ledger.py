"""Who delivers what, under which lease, and what became of it.

A delivery is claimed by one conditional UPDATE under SKIP LOCKED; what is written after the claim
is fenced by the number of its attempt. Locks are taken in the order webhooks, deliveries. All times
are the database's.
"""

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, true, update
from sqlalchemy.orm import Session

from app.access import audit
from app.settings import Settings
from app.webhooks import repository
from app.webhooks.sender import Outcome
from app.webhooks.tables import Delivery, Webhook

LOGGED_ATTEMPTS = 20
_GONE = 410
_LONGEST_PAUSE = 86_400.0
_BATCH = 1000
_random = secrets.SystemRandom()


@dataclass(frozen=True)
class Claim:
    """One attempt at one delivery; `(delivery_id, attempt)` fences every write made under it."""

    delivery_id: UUID
    attempt: int
    webhook_id: UUID
    url: str
    secrets: tuple[str, ...]
    message_id: str
    body: str


def claim_due(
    session: Session, *, busy: Collection[UUID], limit: int, lease_seconds: float
) -> list[Claim]:
    """Claim what is due: at most one delivery of each webhook, the longest waiting first.

    Args:
        busy: webhooks that the caller is delivering to already: one slow target then holds one
            thread, however much waits for it.
    """
    due = (
        select(Delivery.id, Delivery.next_attempt_at)
        .where(
            Delivery.webhook_id == Webhook.id,
            Delivery.state == "pending",
            Delivery.next_attempt_at <= func.clock_timestamp(),
            _unleased(),
        )
        .order_by(Delivery.next_attempt_at)
        .limit(1)
        .with_for_update(key_share=True, skip_locked=True)
        .lateral("due")
    )
    ids = session.scalars(
        select(due.c.id)
        .select_from(Webhook)
        .join(due, true())
        .where(Webhook.enabled, Webhook.id.not_in(busy))
        .order_by(due.c.next_attempt_at)
        .limit(limit)
    ).all()
    if not ids:
        return []
    moment = func.clock_timestamp()
    rows = session.execute(
        update(Delivery)
        .where(Delivery.id.in_(ids), Webhook.id == Delivery.webhook_id)
        .values(
            attempts=Delivery.attempts + 1,
            last_attempt_at=moment,
            lease_expires_at=moment + timedelta(seconds=lease_seconds),
        )
        .returning(
            Delivery.id,
            Delivery.attempts,
            Delivery.webhook_id,
            Delivery.message_id,
            Delivery.body,
            Webhook.url,
            Webhook.secret,
            Webhook.previous_secret,
            (Webhook.previous_secret_expires_at > moment).label("both_sign"),
        )
        .execution_options(synchronize_session=False)
    )
    return [
        Claim(
            delivery_id=row.id,
            attempt=row.attempts,
            webhook_id=row.webhook_id,
            url=row.url,
            secrets=(row.secret, row.previous_secret) if row.both_sign else (row.secret,),
            message_id=row.message_id,
            body=row.body,
        )
        for row in rows
    ]


def settle(session: Session, claim: Claim, outcome: Outcome, settings: Settings) -> str | None:
    """Record what became of a claimed attempt; the delivery's state, or None if it was lost.

    A failed attempt is repeated after a pause, until the delivery is too old. 410 Gone ends it at
    once, disables the webhook, and ends all else that waits for it.
    """
    gone = outcome.status == _GONE
    # Its lock comes first, as everywhere.
    webhook = repository.get_webhook(session, claim.webhook_id, lock=True) if gone else None
    delivery = session.scalars(
        select(Delivery).where(_held(claim)).with_for_update(key_share=True)
    ).one_or_none()
    if delivery is None:
        return None
    moment = session.scalars(select(func.clock_timestamp())).one()
    delivery.lease_expires_at = None
    delivery.response_status, delivery.error = outcome.status, outcome.error
    entry = {
        "at": (delivery.last_attempt_at or moment).isoformat(),
        "seconds": round(outcome.seconds, 3),
        "status": outcome.status,
        "error": outcome.error,
        "response": outcome.snippet,
    }
    delivery.log = [*delivery.log, entry][-LOGGED_ATTEMPTS:]
    if outcome.error is None:
        delivery.state, delivery.finished_at = "delivered", moment
        return delivery.state
    delivery.failures += 1
    pause = pause_after(delivery.failures, settings.webhook_retry_delays, outcome.retry_after)
    again = moment + timedelta(seconds=pause)
    if gone or again > delivery.started_at + timedelta(seconds=settings.webhook_max_age):
        delivery.state, delivery.finished_at = "failed", moment
    else:
        delivery.next_attempt_at = again
    if webhook is not None and webhook.url == claim.url and webhook.enabled:
        _disable(session, webhook, "the receiver answered 410 Gone")
    return delivery.state


def pause_after(failures: int, delays: Sequence[float], retry_after: float | None) -> float:
    """Seconds until the next attempt, a fifth more or less at random.

    Args:
        failures: failed attempts so far, at least 1.
        delays: the pause after each of them; the last one repeats.
        retry_after: what the receiver asked for: kept to, up to a day.
    """
    pause = delays[min(failures, len(delays)) - 1] * _random.uniform(0.8, 1.2)
    return max(pause, min(retry_after or 0.0, _LONGEST_PAUSE))


def release(session: Session, claim: Claim) -> None:
    """Give a claim back that nobody will settle, to be claimed again at once."""
    session.execute(update(Delivery).where(_held(claim)).values(lease_expires_at=None))


def give_up_old(session: Session, max_age: float) -> int:
    """Fail what has waited too long, such as for a webhook that is disabled; how many."""
    old = (
        select(Delivery.id)
        .where(
            Delivery.state == "pending",
            Delivery.started_at < func.clock_timestamp() - timedelta(seconds=max_age),
            _unleased(),
        )
        .limit(_BATCH)
        .with_for_update(key_share=True, skip_locked=True)
    )
    return len(_fail(session, Delivery.id.in_(old), "it was not taken in time"))


def purge_log(session: Session, days: float) -> int:
    """Delete some deliveries that ended long ago; how many."""
    old = (
        select(Delivery.id)
        .where(Delivery.finished_at < func.clock_timestamp() - timedelta(days=days))
        .limit(_BATCH)
        .with_for_update(skip_locked=True)
    )
    deleted = session.scalars(
        delete(Delivery)
        .where(Delivery.id.in_(old))
        .returning(Delivery.id)
        .execution_options(synchronize_session=False)
    )
    return len(deleted.all())


def _disable(session: Session, webhook: Webhook, reason: str) -> None:
    webhook.enabled, webhook.disabled_reason = False, reason
    webhook.version += 1
    webhook.updated_at = func.clock_timestamp()
    session.flush()
    _fail(session, Delivery.webhook_id == webhook.id, f"the webhook was disabled: {reason}")
    audit.record(
        session,
        actor="featuredrift",
        action="webhook.disabled",
        subject_id=webhook.id,
        detail={"reason": reason},
    )


def _fail(session: Session, where: ColumnElement[bool], reason: str) -> Sequence[UUID]:
    return session.scalars(
        update(Delivery)
        .where(where, Delivery.state == "pending")
        .values(
            state="failed",
            lease_expires_at=None,
            finished_at=func.clock_timestamp(),
            error=func.concat_ws("; last: ", reason, Delivery.error),
        )
        .returning(Delivery.id)
        .execution_options(synchronize_session=False)
    ).all()


def _unleased() -> ColumnElement[bool]:
    return or_(
        Delivery.lease_expires_at.is_(None), Delivery.lease_expires_at < func.clock_timestamp()
    )


def _held(claim: Claim) -> ColumnElement[Any]:
    return and_(
        Delivery.id == claim.delivery_id,
        Delivery.attempts == claim.attempt,
        Delivery.state == "pending",
        Delivery.lease_expires_at.is_not(None),
    )
