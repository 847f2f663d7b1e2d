"""Webhooks and their delivery log."""

from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

from app.client.asynchronous.transport import AsyncTransport
from app.client.protocol import build, given, path_of
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


class AsyncWebhooks:
    """Where events are sent."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def create(
        self,
        url: str,
        *,
        by: str,
        events: Sequence[str] = (),
        models: Sequence[str] = (),
        monitors: Sequence[str] = (),
        description: str | None = None,
    ) -> WebhookWithSecret:
        """Send events to a URL from now on; empty filters mean all.

        The signing secret is in this answer and nowhere else. Where an answer was lost on the way
        and the request sent again, it is None: `rotate` makes a new one.
        """
        body = build(
            WebhookCreate,
            url=url,
            by=by,
            events=events,
            models=models,
            monitors=monitors,
            **given(description=description),
        )
        return await self._transport.read(WebhookWithSecret, "POST", path_of("webhooks"), body=body)

    def list(self, *, enabled: bool | None = None) -> AsyncIterator[WebhookOut]:
        """Webhooks, newest first, without their secrets."""
        return self._transport.pages(WebhookOut, "webhooks", query={"enabled": enabled})

    async def get(self, webhook: UUID | str) -> WebhookOut:
        """A webhook, never its secret."""
        return await self._transport.read(WebhookOut, "GET", path_of("webhooks", webhook))

    async def change(
        self, webhook: UUID | str, *, version: int | None = None, **changes: Any
    ) -> WebhookOut:
        """Change a webhook.

        Args:
            version: the one that was read; default: the one that holds now.
            changes: fields of `WebhookPatch`, each replaced as a whole.
        """
        body = build(WebhookPatch, **changes)
        if version is None:
            version = (await self.get(webhook)).version
        path = path_of("webhooks", webhook)
        return await self._transport.read(WebhookOut, "PATCH", path, body=body, version=version)

    async def delete(self, webhook: UUID | str, *, by: str, version: int) -> None:
        """Remove a webhook and its log; what is pending is not sent."""
        path = path_of("webhooks", webhook)
        await self._transport.send("DELETE", path, query={"by": by}, version=version)

    async def rotate(
        self, webhook: UUID | str, *, by: str, overlap: float = 86_400.0
    ) -> WebhookWithSecret:
        """A new signing secret; for `overlap` seconds the old one signs as well."""
        body = build(Rotation, by=by, overlap=overlap)
        path = path_of("webhooks", f"{webhook}:rotate")
        return await self._transport.read(WebhookWithSecret, "POST", path, body=body)

    async def test(self, webhook: UUID | str) -> DeliveryDetail:
        """Send a `webhook.test` event, whatever the filters."""
        path = path_of("webhooks", f"{webhook}:test")
        return await self._transport.read(DeliveryDetail, "POST", path)

    def deliveries(
        self, webhook: UUID | str, *, state: State | None = None, event: str | None = None
    ) -> AsyncIterator[DeliveryOut]:
        """The delivery log, newest first."""
        query = {"state": state, "event": event}
        return self._transport.pages(DeliveryOut, "webhooks", webhook, "deliveries", query=query)

    async def delivery(
        self, webhook: UUID | str, delivery: UUID | str, *, wait: float | None = None
    ) -> DeliveryDetail:
        """A delivery with what was sent and answered; with `wait`, once it ended or failed."""
        path = path_of("webhooks", webhook, "deliveries", delivery)
        return await self._transport.read(DeliveryDetail, "GET", path, wait=wait)

    async def redeliver(self, webhook: UUID | str, delivery: UUID | str) -> DeliveryDetail:
        """Deliver again now, under the same message id."""
        path = path_of("webhooks", webhook, "deliveries", f"{delivery}:redeliver")
        return await self._transport.read(DeliveryDetail, "POST", path)
