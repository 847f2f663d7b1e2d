"""API keys as they are asked for and answered."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AwareDatetime, ConfigDict, Field, StringConstraints

from app.access.principals import Scope
from app.core.schemas import Input, Output

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
MAX_OVERLAP = 30 * 86_400
_Name = Annotated[str, Field(pattern=NAME_PATTERN)]
_By = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    Field(description="Who does it, for the audit trail; the key that it is done with is noted"),
]
_ExpiresAt = Annotated[
    AwareDatetime | None, Field(default=None, description="When it stops working; null: never")
]

_ID = "019ab7d2-5c00-7000-8000-00000000000d"
_KEY: dict[str, Any] = {
    "id": _ID,
    "name": "support-bot-release",
    "scope": "write",
    "models": ["support-bot"],
    "hint": "fd_3f9a1c…",
    "expires_at": "2027-11-22T00:00:00Z",
    "previous_expires_at": None,
    "rotated_at": None,
    "last_used_at": None,
    "revoked_at": None,
    "created_by": "bootstrap",
    "created_at": "2026-11-22T09:31:00Z",
    "links": {
        "self": f"/v1/api-keys/{_ID}",
        "revoke": f"/v1/api-keys/{_ID}:revoke",
        "rotate": f"/v1/api-keys/{_ID}:rotate",
    },
}


class ApiKeyCreate(Input):
    """Who is to have a key, and for what."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "support-bot-release",
                    "scope": "write",
                    "models": ["support-bot"],
                    "expires_at": "2027-11-22T00:00:00Z",
                    "by": "ada",
                }
            ]
        }
    )

    name: _Name = Field(description="Stands in the audit trail; no two working keys share one")
    scope: Scope = Field(description="read < write < admin; `metrics` opens /metrics and no more")
    models: Annotated[tuple[_Name, ...], Field(min_length=1, max_length=100)] | None = Field(
        default=None, description="The only models that exist for this key; null: all"
    )
    expires_at: _ExpiresAt
    by: _By = "unnamed"


class KeyRotation(Input):
    """For how long the old key works beside the new one."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"overlap": 86400, "by": "ada"}]})

    overlap: float = Field(
        default=86_400.0,
        ge=0,
        le=MAX_OVERLAP,
        description="Seconds; 0 ends the old key at once, as after a leak",
    )
    expires_at: _ExpiresAt = Field(
        default=None, description="A new end; left out, the one that it has stays"
    )
    by: _By = "unnamed"


class Revocation(Input):
    """Why a key stops working."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"by": "ada", "note": "left the team"}]}
    )

    by: _By = "unnamed"
    note: str | None = Field(default=None, max_length=2000)


class ApiKeyOut(Output):
    """A key, without the key."""

    model_config = ConfigDict(json_schema_extra={"examples": [_KEY]})

    id: UUID
    name: str
    scope: Scope
    models: list[str] | None = Field(description="Null: all")
    hint: str = Field(description="How it begins")
    expires_at: datetime | None
    previous_expires_at: datetime | None = Field(
        description="Until then the key before the last rotation works as well"
    )
    rotated_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute")
    revoked_at: datetime | None
    created_by: str = Field(description="Whose key made it; `local` without keys, or `cli`")
    created_at: datetime
    links: dict[str, str]


class ApiKeyWithSecret(ApiKeyOut):
    """A key, with the key: it is shown this once."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {**_KEY, "key": "fd_3f9a1c000000000000000000000000000000000000000000fc8444c5"}
            ]
        }
    )

    key: str | None = Field(
        description="Null when this answer is repeated for an Idempotency-Key; rotate it then"
    )


def utc(moment: datetime | None) -> datetime | None:
    """The moment in UTC."""
    return moment.astimezone(UTC) if moment is not None else None
