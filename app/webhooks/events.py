"""Emitting events: rows of the deliveries table, written with what they tell of."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from pydantic_core import to_json, to_jsonable_python
from sqlalchemy.orm import Session

from app.core.clock import now
from app.core.ids import new_id
from app.webhooks import repository
from app.webhooks.kinds import EVENT_TYPES, TEST_EVENT

MAX_BODY_BYTES = 64 << 10
"""Bodies stay below what receivers commonly accept; the largest fields are left out first."""


def emit(
    session: Session, event: str, data: Mapping[str, Any], *, model: str, monitor: str | None
) -> int:
    """Address an event to each enabled webhook that wants it, in the caller's transaction.

    Nothing is sent here: the dispatcher delivers what is committed.

    Args:
        event: one of `EVENT_TYPES`.
        data: what happened: anything that pydantic can write as JSON; NaN becomes null.
        model: the model's name.
        monitor: the monitor's name, if the event is about one.

    Returns:
        To how many webhooks.

    Raises:
        ValueError: there is no such type of event.
    """
    if event not in EVENT_TYPES:
        raise ValueError(f"{event!r} is no event; there are {', '.join(EVENT_TYPES)}")
    webhooks = repository.matching_webhooks(session, event, model=model, monitor=monitor)
    named = {"model": model, "monitor": monitor, **data}
    return len(_address(session, webhooks, event, named, model=model, monitor=monitor))


def emit_test(session: Session, webhook_id: UUID) -> UUID:
    """Address a test event to one webhook, whatever its filters are; the delivery's id."""
    data = {"detail": "This is a test. Nothing has happened.", "webhook": webhook_id}
    return _address(session, [webhook_id], TEST_EVENT, data, model=None, monitor=None)[0]


def write_body(event: str, data: Mapping[str, Any]) -> str:
    """The JSON that is signed and sent: `type`, `timestamp`, `data`.

    When it is over `MAX_BODY_BYTES`, the largest fields of `data` are left out, and `data.omitted`
    names them.
    """
    kept: dict[str, Any] = to_jsonable_python(data, inf_nan_mode="constants")
    document = {"type": event, "timestamp": now().isoformat().replace("+00:00", "Z"), "data": kept}
    omitted: list[str] = []
    while len(body := to_json(document, inf_nan_mode="null")) > MAX_BODY_BYTES:
        largest = max((key for key in kept if key != "omitted"), key=lambda key: _size(kept[key]))
        del kept[largest]
        omitted.append(largest)
        kept["omitted"] = omitted
    return body.decode()


def _address(
    session: Session,
    webhook_ids: Sequence[UUID],
    event: str,
    data: Mapping[str, Any],
    *,
    model: str | None,
    monitor: str | None,
) -> list[UUID]:
    if not webhook_ids:
        return []
    return repository.add_deliveries(
        session,
        webhook_ids,
        message_id=f"msg_{new_id().hex}",
        event=event,
        model=model,
        monitor=monitor,
        body=write_body(event, data),
    )


def _size(value: Any) -> int:
    return len(to_json(value, inf_nan_mode="null"))
