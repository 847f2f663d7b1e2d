"""Audit events as they are answered."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import ConfigDict, Field

from app.core.schemas import Output


class AuditEventOut(Output):
    """Who did what to what, and when."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "019ab7d2-5c00-7000-8000-00000000000b",
                    "at": "2026-11-22T09:31:00Z",
                    "actor": "ada",
                    "action": "repair.accepted",
                    "subject_kind": "repair",
                    "subject_id": "019ab7d2-5c00-7000-8000-00000000000a",
                    "detail": {"feature_set": "contact-data", "version": 2, "note": "as expected"},
                    "principal": "review",
                    "key_id": "019ab7d2-5c00-7000-8000-00000000000d",
                    "model": "support-bot",
                }
            ]
        }
    )

    id: UUID
    at: datetime
    actor: str = Field(description="Who did it, as the caller says")
    action: str = Field(description="`<subject kind>.<what was done>`")
    subject_kind: str
    subject_id: str
    detail: dict[str, Any]
    principal: str | None = Field(
        description="Who was authenticated: a key's name, or `local`; null for the service itself"
    )
    key_id: UUID | None
    model: str | None = Field(description="Null: not about one model")
