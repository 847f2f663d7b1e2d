"""Webhooks and deliveries as they are sent and answered."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints, field_validator

from app.core.schemas import Input, Output
from app.registry.definitions import Name
from app.registry.schemas.names import Description
from app.webhooks.kinds import EventType
from app.webhooks.targets import MAX_URL

State = Literal["pending", "delivered", "failed"]
Url = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_URL,
        description="https:// or http://, without user name and fragment; every address of its "
        "host must be public, or lie in a network that the operator allows",
    ),
]
Events = Annotated[
    tuple[EventType, ...], Field(max_length=20, description="Types of events; empty: all")
]
Names = Annotated[
    tuple[Name, ...], Field(max_length=100, description="Only what is about these; empty: all")
]
By = Annotated[str, StringConstraints(strip_whitespace=True)]
_BY = Field(
    default="unnamed", min_length=1, max_length=200, description="Who does it, for the audit trail"
)

_ID = "019ab7d2-5c00-7000-8000-00000000000b"
_DELIVERY_ID = "019ab7d2-5c00-7000-8000-00000000000c"
_WEBHOOK: dict[str, Any] = {
    "id": _ID,
    "url": "https://hooks.example.com/featuredrift",
    "description": "on-call channel",
    "events": ["alert.opened", "alert.resolved"],
    "models": ["support-bot"],
    "monitors": [],
    "enabled": True,
    "disabled_reason": None,
    "previous_secret_expires_at": None,
    "version": 1,
    "created_at": "2026-11-22T09:31:00Z",
    "updated_at": "2026-11-22T09:31:00Z",
    "links": {
        "self": f"/v1/webhooks/{_ID}",
        "test": f"/v1/webhooks/{_ID}:test",
        "rotate": f"/v1/webhooks/{_ID}:rotate",
        "deliveries": f"/v1/webhooks/{_ID}/deliveries",
    },
}
_ATTEMPT: dict[str, Any] = {
    "at": "2026-11-22T09:31:00.120Z",
    "seconds": 0.084,
    "status": 204,
    "error": None,
    "response": "",
}
_DELIVERY: dict[str, Any] = {
    "id": _DELIVERY_ID,
    "webhook": _ID,
    "message_id": "msg_019ab7d25c0070008000000000000000",
    "event": "alert.opened",
    "model": "support-bot",
    "monitor": "support-contact-data",
    "state": "delivered",
    "attempts": 1,
    "response_status": 204,
    "error": None,
    "created_at": "2026-11-22T09:31:00Z",
    "last_attempt_at": "2026-11-22T09:31:00.120Z",
    "next_attempt_at": None,
    "finished_at": "2026-11-22T09:31:00.210Z",
}


class WebhookCreate(Input):
    """Where events are to be sent, and which."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "url": "https://hooks.example.com/featuredrift",
                    "description": "on-call channel",
                    "events": ["alert.opened", "alert.resolved"],
                    "models": ["support-bot"],
                    "by": "ada",
                }
            ]
        }
    )

    url: Url
    description: Description
    events: Events = ()
    models: Names = ()
    monitors: Names = ()
    enabled: bool = True
    by: By = _BY


class WebhookPatch(Input):
    """What may change: fields that are left out stay; a given one is replaced as a whole."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"enabled": False, "by": "ada"}]},
    )

    url: Url | None = None
    description: Description
    events: Events | None = None
    models: Names | None = None
    monitors: Names | None = None
    enabled: bool | None = None
    by: By = _BY

    @field_validator("url", "events", "models", "monitors", "enabled")
    @classmethod
    def _not_null(cls, value: object) -> object:
        # Defaults are not validated, so that this sees only a null that was sent.
        if value is None:
            raise ValueError("must not be null; leave it out to keep what is there")
        return value


class Rotation(Input):
    """For how long the old secret signs beside the new one."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"overlap": 86400, "by": "ada"}]})

    overlap: float = Field(
        default=86_400.0,
        ge=0,
        le=7 * 86_400,
        description="Seconds; 0 ends the old secret at once, as after a leak",
    )
    by: By = _BY


class WebhookOut(Output):
    """A webhook, without its secret; its `ETag` is its version."""

    model_config = ConfigDict(json_schema_extra={"examples": [_WEBHOOK]})

    id: UUID
    url: str
    description: str | None
    events: list[str]
    models: list[str]
    monitors: list[str]
    enabled: bool
    disabled_reason: str | None = Field(description="Why the service itself has disabled it")
    previous_secret_expires_at: datetime | None = Field(
        description="Until then the secret before the last rotation signs as well"
    )
    version: int
    created_at: datetime
    updated_at: datetime
    links: dict[str, str]


class WebhookWithSecret(WebhookOut):
    """A webhook with its new secret, which is shown this once."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {**_WEBHOOK, "secret": "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="}
            ]
        }
    )

    secret: str | None = Field(
        description="Verifies the signatures; null when this answer is repeated for an "
        "Idempotency-Key"
    )


class AttemptOut(Output):
    """One attempt of a delivery."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ATTEMPT]})

    at: datetime
    seconds: float
    status: int | None = Field(description="Null: there was no answer")
    error: str | None
    response: str = Field(description="The start of the answer's body, at most 1 KiB")


class DeliveryOut(Output):
    """One event for one webhook."""

    model_config = ConfigDict(json_schema_extra={"examples": [_DELIVERY]})

    id: UUID
    webhook: UUID
    message_id: str = Field(description="The header `webhook-id`, the same at each attempt")
    event: str
    model: str | None
    monitor: str | None
    state: State
    attempts: int
    response_status: int | None = Field(description="Of the last attempt that ended")
    error: str | None = Field(description="Why the last attempt failed")
    created_at: datetime
    last_attempt_at: datetime | None
    next_attempt_at: datetime | None = Field(description="Null once it has ended")
    finished_at: datetime | None


class DeliveryDetail(DeliveryOut):
    """A delivery with what was sent and what was answered."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **_DELIVERY,
                    "body": '{"type":"alert.opened","timestamp":"2026-11-22T09:31:00Z","data":{}}',
                    "log": [_ATTEMPT],
                }
            ]
        }
    )

    body: str = Field(description="Exactly what is signed and sent")
    log: list[AttemptOut] = Field(description="The last 20 attempts that ended, oldest first")
