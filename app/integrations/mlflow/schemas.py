"""Messages of an MLflow model registry, and what is answered."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.core.schemas import Output

Outcome = Literal["registered", "known", "alias_moved", "ignored"]

_Text = Field(min_length=1, max_length=2000)


class MlflowEvent(BaseModel):
    """The envelope of every message. Later releases may add fields: unknown ones are let be."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        json_schema_extra={
            "examples": [
                {
                    "entity": "model_version",
                    "action": "created",
                    "timestamp": "2026-11-22T09:31:00.250000+00:00",
                    "data": {
                        "name": "support-bot",
                        "version": "7",
                        "source": "s3://registry/support-bot/7",
                        "run_id": "abcd1234abcd5678",
                        "tags": {},
                        "description": None,
                    },
                }
            ]
        },
    )

    entity: str = Field(max_length=100)
    action: str = Field(max_length=100)
    timestamp: datetime
    data: dict[str, Any]

    @property
    def name(self) -> str:
        """`model_version.created` and the like."""
        return f"{self.entity}.{self.action}"


class VersionCreated(BaseModel):
    """`model_version.created`."""

    name: str = _Text
    version: str = _Text
    source: str = Field(default="", max_length=2000)
    run_id: str | None = Field(default=None, max_length=200)
    tags: dict[str, str] = Field(default_factory=dict)


class TagSet(BaseModel):
    """`model_version_tag.set`."""

    name: str = _Text
    version: str = _Text
    key: str = _Text
    value: str = Field(max_length=5000)


class AliasCreated(BaseModel):
    """`model_version_alias.created`: also sent when an alias moves."""

    name: str = _Text
    alias: str = _Text
    version: str = _Text


class MlflowOut(Output):
    """What was done with a message."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={
            "examples": [
                {
                    "outcome": "registered",
                    "detail": "version 7 of support-bot is the checkpoint v7",
                    "model": "support-bot",
                    "checkpoint": "v7",
                    "evaluations": ["019ab7d2-5c00-7000-8000-000000000003"],
                }
            ]
        },
    )

    outcome: Outcome
    detail: str
    model: str | None = None
    checkpoint: str | None = None
    evaluations: list[UUID] = Field(
        default_factory=list, description="Those that this message has started"
    )
