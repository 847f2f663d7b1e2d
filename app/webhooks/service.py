"""Making, changing, testing and rotating webhooks; reading and repeating deliveries."""

from collections.abc import Sequence
from datetime import timedelta
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.access import audit
from app.access.principals import bound_models, require_models
from app.core.clock import now
from app.core.errors import ConflictError, InvalidInputError, NotFoundError
from app.core.preconditions import check_if_match
from app.core.references import referred_to_by
from app.monitors.service import find_monitor
from app.registry.service.models import find_model
from app.settings import Settings
from app.webhooks import events, repository
from app.webhooks.addresses import (
    TargetRefusedError,
    TargetUnresolvedError,
    check_addresses,
    resolve,
)
from app.webhooks.schemas import (
    DeliveryDetail,
    DeliveryOut,
    Rotation,
    WebhookCreate,
    WebhookOut,
    WebhookPatch,
    WebhookWithSecret,
)
from app.webhooks.signing import new_secret
from app.webhooks.tables import Delivery, Webhook
from app.webhooks.targets import parse_target

_RESOLVE_SECONDS = 2.0


def check_url(url: str, settings: Settings) -> None:
    """Refuse at once what would be refused at each delivery, outside of any transaction.

    A host without an address at this moment passes: deliveries look again, each time.

    Raises:
        InvalidInputError: the URL is none, or leads where webhooks may not go.
    """
    try:
        target = parse_target(url)
    except ValueError as error:
        raise InvalidInputError(
            f"the URL {error}", code="invalid_url", field="url", value=url
        ) from error
    try:
        found = resolve(target.host, target.port, _RESOLVE_SECONDS)
        check_addresses(target.host, found, settings.webhook_allowed_networks)
    except TargetUnresolvedError:
        return
    except TargetRefusedError as error:
        raise InvalidInputError(
            str(error), code="target_refused", field="url", value=target.host
        ) from error


def create(session: Session, body: WebhookCreate) -> Webhook:
    """A new webhook, with a secret of its own.

    Raises:
        InvalidInputError: a filter names a model or a monitor that does not exist.
    """
    models = _own_models(session, body.models)
    _check_filters(session, models, body.monitors)
    webhook = repository.add_webhook(
        session,
        url=body.url,
        description=body.description,
        events=list(body.events),
        models=list(models),
        monitors=list(body.monitors),
        enabled=body.enabled,
        secret=new_secret(),
    )
    _record(session, webhook, "created", body.by, host=urlsplit(body.url).hostname)
    return webhook


def change(session: Session, webhook_id: UUID, body: WebhookPatch, if_match: str | None) -> Webhook:
    """Replace the given fields. What is pending goes to the new URL.

    Raises:
        NotFoundError: there is no such webhook.
        PreconditionRequiredError: no `If-Match`.
        PreconditionFailedError: it has changed since.
        InvalidInputError: a filter names a model or a monitor that does not exist.
    """
    webhook = find_webhook(session, webhook_id, lock=True)
    check_if_match(if_match, webhook.version)
    models = None if body.models is None else _own_models(session, body.models)
    _check_filters(session, models or (), body.monitors or ())
    changed = sorted(body.model_fields_set - {"by"})
    if body.url is not None:
        webhook.url = body.url
    if body.events is not None:
        webhook.events = list(body.events)
    if models is not None:
        webhook.models = list(models)
    if body.monitors is not None:
        webhook.monitors = list(body.monitors)
    if body.enabled is not None:
        webhook.enabled, webhook.disabled_reason = body.enabled, None
    if "description" in body.model_fields_set:
        webhook.description = body.description
    if changed:
        webhook.version += 1
        webhook.updated_at = now()
        _record(session, webhook, "changed", body.by, fields=changed)
    session.flush()
    return webhook


def delete(session: Session, webhook_id: UUID, if_match: str | None, by: str) -> None:
    """Remove a webhook with its log; what is pending is not delivered any more.

    Raises:
        NotFoundError: there is no such webhook.
        PreconditionRequiredError: no `If-Match`.
        PreconditionFailedError: it has changed since.
    """
    webhook = find_webhook(session, webhook_id, lock=True)
    check_if_match(if_match, webhook.version)
    _record(session, webhook, "deleted", by, host=urlsplit(webhook.url).hostname)
    repository.delete_webhook(session, webhook_id)


def rotate(session: Session, webhook_id: UUID, body: Rotation) -> Webhook:
    """Give a webhook a new secret; the old one signs beside it until the overlap is over.

    The one before the old one, if it still signed, ends at once.

    Raises:
        NotFoundError: there is no such webhook.
    """
    webhook = find_webhook(session, webhook_id, lock=True)
    overlap = timedelta(seconds=body.overlap)
    webhook.previous_secret = webhook.secret if overlap else None
    webhook.previous_secret_expires_at = now() + overlap if overlap else None
    webhook.secret = new_secret()
    webhook.version += 1
    webhook.updated_at = now()
    _record(session, webhook, "secret_rotated", body.by, overlap=body.overlap)
    session.flush()
    return webhook


def test(session: Session, webhook_id: UUID) -> Delivery:
    """Address a test event to a webhook, whatever its filters.

    Raises:
        NotFoundError: there is no such webhook.
        ConflictError: it is disabled.
    """
    webhook = find_webhook(session, webhook_id, lock=True)
    _require_enabled(webhook)
    delivery = find_delivery(session, webhook_id, events.emit_test(session, webhook_id))
    _record(session, webhook, "tested", None, delivery=str(delivery.id))
    return delivery


def redeliver(session: Session, webhook_id: UUID, delivery_id: UUID) -> Delivery:
    """Deliver again now, under the same message id, with all the retries of a new event.

    Raises:
        NotFoundError: there is no such delivery.
        ConflictError: the webhook is disabled.
    """
    webhook = find_webhook(session, webhook_id, lock=True)
    _require_enabled(webhook)
    delivery = find_delivery(session, webhook_id, delivery_id, lock=True)
    moment = session.scalars(select(func.clock_timestamp())).one()
    delivery.state, delivery.finished_at, delivery.failures = "pending", None, 0
    delivery.started_at = delivery.next_attempt_at = moment
    session.flush()
    _record(session, webhook, "redelivered", None, delivery=str(delivery_id))
    return delivery


def find_webhook(session: Session, webhook_id: UUID, *, lock: bool = False) -> Webhook:
    """A webhook by id.

    Raises:
        NotFoundError: there is none.
    """
    webhook = repository.get_webhook(session, webhook_id, lock=lock)
    if webhook is None:
        raise NotFoundError(
            f"there is no webhook {webhook_id}; GET /v1/webhooks lists them",
            code="unknown_webhook",
            field="webhook",
            value=str(webhook_id),
        )
    return webhook


def find_delivery(
    session: Session, webhook_id: UUID, delivery_id: UUID, *, lock: bool = False
) -> Delivery:
    """A delivery of a webhook.

    Raises:
        NotFoundError: the webhook has none with that id.
    """
    delivery = repository.get_delivery(session, webhook_id, delivery_id, lock=lock)
    if delivery is None:
        raise NotFoundError(
            f"the webhook {webhook_id} has no delivery {delivery_id}; "
            f"GET /v1/webhooks/{webhook_id}/deliveries lists them",
            code="unknown_delivery",
            field="delivery",
            value=str(delivery_id),
        )
    return delivery


def present(webhook: Webhook) -> WebhookOut:
    """A webhook as it is answered."""
    here = f"/v1/webhooks/{webhook.id}"
    expires = webhook.previous_secret_expires_at
    return WebhookOut(
        id=webhook.id,
        url=webhook.url,
        description=webhook.description,
        events=webhook.events,
        models=webhook.models,
        monitors=webhook.monitors,
        enabled=webhook.enabled,
        disabled_reason=webhook.disabled_reason,
        previous_secret_expires_at=expires if expires and expires > now() else None,
        version=webhook.version,
        created_at=webhook.created_at,
        updated_at=webhook.updated_at,
        links={
            "self": here,
            "test": f"{here}:test",
            "rotate": f"{here}:rotate",
            "deliveries": f"{here}/deliveries",
        },
    )


def present_with_secret(webhook: Webhook, *, shown: bool) -> WebhookWithSecret:
    """A webhook as it is answered the one time that its secret is shown, or as that is kept."""
    secret = webhook.secret if shown else None
    return WebhookWithSecret(**present(webhook).model_dump(), secret=secret)


def present_delivery(delivery: Delivery) -> DeliveryOut:
    """A delivery as a list shows it."""
    return DeliveryOut(
        id=delivery.id,
        webhook=delivery.webhook_id,
        message_id=delivery.message_id,
        event=delivery.event,
        model=delivery.model,
        monitor=delivery.monitor,
        state=delivery.state,
        attempts=delivery.attempts,
        response_status=delivery.response_status,
        error=delivery.error,
        created_at=delivery.created_at,
        last_attempt_at=delivery.last_attempt_at,
        next_attempt_at=delivery.next_attempt_at if delivery.state == "pending" else None,
        finished_at=delivery.finished_at,
    )


def present_whole(delivery: Delivery) -> DeliveryDetail:
    """A delivery with what was sent and what was answered."""
    found = present_delivery(delivery).model_dump()
    return DeliveryDetail.model_validate({**found, "body": delivery.body, "log": delivery.log})


def _require_enabled(webhook: Webhook) -> None:
    if not webhook.enabled:
        why = f" ({webhook.disabled_reason})" if webhook.disabled_reason else ""
        raise ConflictError(
            f'the webhook is disabled{why}; PATCH it with {{"enabled": true}} first',
            code="webhook_disabled",
            field="enabled",
            value=False,
        )


def _own_models(session: Session, models: Sequence[str]) -> Sequence[str]:
    """The filter of a webhook: what "all" means for a key that is bound to some models."""
    require_models(session, models)
    return models or sorted(bound_models(session) or ())


def _check_filters(session: Session, models: Sequence[str], monitors: Sequence[str]) -> None:
    for name in models:
        with referred_to_by("models"):
            find_model(session, name)
    for name in monitors:
        with referred_to_by("monitors"):
            find_monitor(session, name)


def _record(
    session: Session, webhook: Webhook, done: str, by: str | None, **detail: object
) -> None:
    model = webhook.models[0] if len(webhook.models) == 1 else None
    audit.record(
        session,
        actor=by,
        action=f"webhook.{done}",
        subject_id=webhook.id,
        detail=detail,
        model=model,
    )
