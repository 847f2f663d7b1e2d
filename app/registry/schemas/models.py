"""Models, checkpoints and aliases as they are sent and answered."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import ConfigDict, Field

from app.core.schemas import Input, Output
from app.registry.schemas.names import Description, Name, Sha256, Source

_DIGEST = "7c1f6c0f1d1c6d0a4f7a0e1e0b5d3b0c9f8a7e6d5c4b3a29181716151413121f"


class ModelCreate(Input):
    """A line of checkpoints that replace each other in production."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "support-bot", "description": "Answers customers' questions"}]
        }
    )

    name: Name
    description: Description


class ModelOut(Output):
    """A registered model."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "019ab7d2-5c00-7000-8000-000000000001",
                    "name": "support-bot",
                    "description": "Answers customers' questions",
                    "created_at": "2026-11-22T09:31:00Z",
                }
            ]
        }
    )

    id: UUID
    name: str
    description: str | None
    created_at: datetime


class CheckpointCreate(Input):
    """One immutable set of weights."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"name": "2026-11-22", "source": "s3://ckpt/step-4000", "parent": "2026-11-15"}
            ]
        }
    )

    name: Name
    source: Source = Field(
        description="A directory under an allowed root, an `s3://`-style URI, or `hf://owner/name`"
    )
    revision: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,199}$",
        description="A hub revision, pinned to its commit when it is read",
    )
    parent: Name | None = Field(
        default=None,
        description="The checkpoint this one was made from; the step comparison is made with it. "
        "Default: the one registered before.",
    )
    digest: Sha256 | None = Field(
        default=None, description="SHA-256 of the weights; checked when they are read"
    )
    benign: bool = Field(
        default=False,
        description="Known to be a harmless update, fit to measure what harmless looks like",
    )
    note: str | None = Field(default=None, max_length=2000)


class CheckpointPatch(Input):
    """The mark `benign`, the one thing of a checkpoint that may change."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"benign": True, "note": "tokenizer files re-saved only", "by": "ada"}]
        }
    )

    benign: bool = Field(
        description="Known to be a harmless update: evaluations from now on measure their noise "
        "floor on it too, the newest eight of a model"
    )
    note: str | None = Field(default=None, max_length=2000, description="Why it is, or is not")
    by: str = Field(
        default="unnamed",
        min_length=1,
        max_length=200,
        description="The name of who says so, for the audit trail: a mark widens margins",
    )


class SkippedMonitor(Output):
    """A monitor that could not start an evaluation, and why."""

    monitor: str
    code: str
    detail: str


class CheckpointOut(Output):
    """A registered checkpoint; digests are null until a worker has read the files."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "019ab7d2-5c00-7000-8000-000000000002",
                    "model": "support-bot",
                    "name": "2026-11-22",
                    "source": "s3://ckpt/step-4000",
                    "revision": None,
                    "parent": "2026-11-15",
                    "benign": True,
                    "benign_at": "2026-11-23T08:00:00Z",
                    "benign_note": "tokenizer files re-saved only",
                    "note": None,
                    "version": 2,
                    "registered_digest": None,
                    "resolved_at": "2026-11-22T09:31:04Z",
                    "resolved_revision": None,
                    "weights_digest": _DIGEST,
                    "config_digest": _DIGEST,
                    "tokenizer_digest": _DIGEST,
                    "properties": {"architecture": "LlamaForCausalLM", "layers": 4, "width": 128},
                    "created_at": "2026-11-22T09:31:00Z",
                    "evaluations": ["019ab7d2-5c00-7000-8000-000000000003"],
                    "skipped": [],
                    "links": {
                        "self": "/v1/models/support-bot/checkpoints/2026-11-22",
                        "gate": "/v1/models/support-bot/checkpoints/2026-11-22/gate",
                        "evaluations": "/v1/evaluations?model=support-bot&checkpoint=2026-11-22",
                    },
                }
            ]
        }
    )

    id: UUID
    model: str
    name: str
    source: str
    revision: str | None
    parent: str | None
    benign: bool
    benign_at: datetime | None = Field(description="Since when it is marked")
    benign_note: str | None
    note: str | None
    version: int = Field(description="Counts changes of the mark; the `ETag` names it")
    registered_digest: str | None
    resolved_at: datetime | None
    resolved_revision: str | None
    weights_digest: str | None
    config_digest: str | None
    tokenizer_digest: str | None
    properties: dict[str, Any] | None
    created_at: datetime
    evaluations: list[UUID] = Field(description="Of this checkpoint, newest first; at most 500")
    skipped: list[SkippedMonitor] = Field(
        default_factory=list,
        description="Monitors that could not start on this registration, and why; "
        "mend the cause and POST /v1/evaluations",
    )
    links: dict[str, str]


class AliasPut(Input):
    """Where an alias points."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"checkpoint": "2026-11-15"}]})

    checkpoint: Name


class AliasOut(Output):
    """A movable name for one checkpoint; its `ETag` is its version."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": "support-bot",
                    "name": "baseline",
                    "checkpoint": "2026-11-15",
                    "version": 1,
                    "updated_at": "2026-11-22T09:31:00Z",
                }
            ]
        }
    )

    model: str
    name: str
    checkpoint: str
    version: int
    updated_at: datetime
