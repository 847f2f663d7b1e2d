"""/v1/webhooks, with their delivery logs."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from sqlalchemy.orm import Session

from app.access.routes import Post
from app.access.service import Answer
from app.core.dependencies import AppDatabase, AppSettings, AppWaiting
from app.core.etags import etag
from app.core.paging import Cursor, Limit, decode_cursor, make_page
from app.core.preconditions import IfMatch
from app.core.problems import PROBLEM_RESPONSES
from app.core.schemas import Page
from app.core.waiting import Wait
from app.webhooks import repository, service
from app.webhooks.schemas import (
    DeliveryDetail,
    DeliveryOut,
    Rotation,
    State,
    WebhookCreate,
    WebhookOut,
    WebhookPatch,
    WebhookWithSecret,
)
from app.webhooks.tables import Delivery, Webhook

router = APIRouter(prefix="/webhooks", tags=["webhooks"], responses=PROBLEM_RESPONSES)

EventFilter = Annotated[str | None, Query(pattern=r"^[a-z_]+\.[a-z_]+$", max_length=100)]


@router.post("", status_code=201, response_model=WebhookWithSecret)
def create_webhook(body: WebhookCreate, settings: AppSettings, post: Post) -> Response:
    """Send events to a URL from now on. The answer holds the signing secret, this once."""
    if (replayed := post.replay()) is not None:
        return replayed
    service.check_url(body.url, settings)

    def work(session: Session) -> Answer:
        return _answer_with_secret(service.create(session, body), 201)

    return post.answer(work)


@router.get("")
def list_webhooks(
    database: AppDatabase,
    enabled: bool | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[WebhookOut]:
    """Webhooks, newest first, without their secrets."""
    after = decode_cursor(cursor, UUID)
    with database.unit_of_work() as session:
        rows = repository.list_webhooks(session, enabled=enabled, after=after, limit=limit)
    page, following = make_page(rows, limit, lambda row: row.id)
    return Page(items=[service.present(row) for row in page], next_cursor=following)


@router.get("/{webhook}")
def get_webhook(webhook: UUID, database: AppDatabase, response: Response) -> WebhookOut:
    """A webhook, with its `ETag`; never its secret."""
    with database.unit_of_work() as session:
        out = service.present(service.find_webhook(session, webhook))
    response.headers["ETag"] = etag(out.version)
    return out


@router.patch("/{webhook}")
def change_webhook(
    webhook: UUID,
    body: WebhookPatch,
    database: AppDatabase,
    settings: AppSettings,
    response: Response,
    if_match: IfMatch = None,
) -> WebhookOut:
    """Change a webhook; `If-Match` is required. Pending deliveries go to a changed URL."""
    if body.url is not None:
        service.check_url(body.url, settings)
    with database.unit_of_work() as session:
        out = service.present(service.change(session, webhook, body, if_match))
    response.headers["ETag"] = etag(out.version)
    return out


@router.delete("/{webhook}", status_code=204)
def delete_webhook(
    webhook: UUID,
    database: AppDatabase,
    if_match: IfMatch = None,
    by: Annotated[
        str,
        Query(pattern=r"^[^\x00-\x1f]{1,200}$", description="Who does it, for the audit trail"),
    ] = "unnamed",
) -> None:
    """Remove a webhook and its log; `If-Match` is required. What is pending is not sent."""
    with database.unit_of_work() as session:
        service.delete(session, webhook, if_match, by)


@router.post("/{webhook}:rotate", response_model=WebhookWithSecret)
def rotate_secret(webhook: UUID, body: Rotation, post: Post) -> Response:
    """A new signing secret, shown this once; for the overlap the old one signs as well."""

    def work(session: Session) -> Answer:
        return _answer_with_secret(service.rotate(session, webhook, body), 200)

    return post.answer(work)


@router.post("/{webhook}:test", status_code=202, response_model=DeliveryDetail)
def test_webhook(webhook: UUID, post: Post) -> Response:
    """Send a `webhook.test` event, whatever the filters; GET the `Location` with `wait`."""

    def work(session: Session) -> Answer:
        return _answer_delivery(service.test(session, webhook))

    return post.answer(work)


@router.get("/{webhook}/deliveries")
def list_deliveries(
    webhook: UUID,
    database: AppDatabase,
    state: State | None = None,
    event: EventFilter = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[DeliveryOut]:
    """The delivery log, newest first."""
    after = decode_cursor(cursor, UUID)
    with database.unit_of_work() as session:
        service.find_webhook(session, webhook)
        rows = repository.list_deliveries(
            session, webhook, state=state, event=event, after=after, limit=limit
        )
    page, following = make_page(rows, limit, lambda row: row.id)
    return Page(items=[service.present_delivery(row) for row in page], next_cursor=following)


@router.get("/{webhook}/deliveries/{delivery}")
def get_delivery(
    webhook: UUID, delivery: UUID, database: AppDatabase, waiting: AppWaiting, wait: Wait = None
) -> DeliveryDetail:
    """A delivery with what was sent and answered; with `wait`, once it ended or was refused."""

    def read() -> Delivery:
        with database.unit_of_work() as session:
            service.find_webhook(session, webhook)
            return service.find_delivery(session, webhook, delivery)

    found = waiting.until(lambda row: row.state != "pending" or row.failures > 0, read, wait)
    return service.present_whole(found)


@router.post(
    "/{webhook}/deliveries/{delivery}:redeliver", status_code=202, response_model=DeliveryDetail
)
def redeliver(webhook: UUID, delivery: UUID, post: Post) -> Response:
    """Deliver again now, under the same message id, with all the retries of a new event."""

    def work(session: Session) -> Answer:
        return _answer_delivery(service.redeliver(session, webhook, delivery))

    return post.answer(work)


def _answer_with_secret(webhook: Webhook, status: int) -> Answer:
    return Answer(
        status,
        service.present_with_secret(webhook, shown=True),
        {"Location": f"/v1/webhooks/{webhook.id}", "ETag": etag(webhook.version)},
        kept=service.present_with_secret(webhook, shown=False),
    )


def _answer_delivery(delivery: Delivery) -> Answer:
    here = f"/v1/webhooks/{delivery.webhook_id}/deliveries/{delivery.id}"
    return Answer(202, service.present_whole(delivery), {"Location": here})
