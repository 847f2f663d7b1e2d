"""Monitors as they are sent and answered."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import ConfigDict, Field, field_validator, model_validator

from app.core.schemas import Input, Output
from app.monitors.policy import DriftPolicy
from app.registry.definitions import Name
from app.registry.schemas.names import Description

MAX_WATCHED = 200
Watchlist = Annotated[
    tuple[Name, ...],
    Field(
        max_length=MAX_WATCHED,
        description="Features with series of their own in /metrics; `latent-<index>` for a "
        "whole dictionary",
    ),
]


class FeatureSetRef(Input):
    """A version of a feature set."""

    name: Name
    version: int | None = Field(
        default=None, ge=1, le=2**31 - 1, description="Default: the latest at this moment"
    )


class BaselineRule(Input):
    """The pinned side of the cumulative comparison: an alias followed, or one checkpoint."""

    alias: Name | None = None
    checkpoint: Name | None = None

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.alias is None) == (self.checkpoint is None):
            raise ValueError('give one of {"alias": …} and {"checkpoint": …}')
        return self


class MonitorCreate(Input):
    """Model + corpus + feature set (or whole dictionary) + baseline rule + drift policy."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "support-contact-data",
                    "model": "support-bot",
                    "corpus": "support-probes",
                    "feature_set": {"name": "contact-data", "version": 1},
                    "baseline": {"alias": "baseline"},
                    "policy": {"gate": {"max_drifted_ratio": 0.0}},
                    "watchlist": ["phone"],
                }
            ]
        }
    )

    name: Name
    description: Description
    model: Name
    corpus: Name
    feature_set: FeatureSetRef | None = None
    dictionary: Name | None = Field(default=None, description="All latents of this dictionary")
    baseline: BaselineRule
    policy: DriftPolicy = DriftPolicy()
    watchlist: Watchlist | None = Field(
        default=None,
        description="Features with metrics and alerts of their own; where it is left out, all of a "
        f"feature set of at most {MAX_WATCHED}",
    )
    enabled: bool = True

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if (self.feature_set is None) == (self.dictionary is None):
            raise ValueError("give either feature_set or dictionary")
        return self


class MonitorPatch(Input):
    """What may change: fields that are left out stay; a given one is replaced as a whole."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"enabled": False, "watchlist": ["phone"]}]}
    )

    description: Description
    corpus: Name | None = None
    feature_set: FeatureSetRef | None = None
    baseline: BaselineRule | None = None
    policy: DriftPolicy | None = None
    watchlist: Watchlist | None = None
    enabled: bool | None = None

    @field_validator("corpus", "feature_set", "baseline", "policy", "watchlist", "enabled")
    @classmethod
    def _not_null(cls, value: object) -> object:
        # Defaults are not validated, so that this sees only a null that was sent.
        if value is None:
            raise ValueError("must not be null; leave it out to keep what is there")
        return value


class FeatureSetVersionRef(Output):
    """The version that is watched."""

    name: str
    version: int


class MonitorOut(Output):
    """A monitor; its `ETag` is its version."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "019ab7d2-5c00-7000-8000-000000000009",
                    "name": "support-contact-data",
                    "description": None,
                    "model": "support-bot",
                    "corpus": "support-probes",
                    "feature_set": {"name": "contact-data", "version": 1},
                    "dictionary": None,
                    "baseline": {"alias": "baseline"},
                    "policy": DriftPolicy().model_dump(mode="json"),
                    "watchlist": ["phone"],
                    "enabled": True,
                    "unlabelled_concepts": [],
                    "version": 1,
                    "created_at": "2026-11-22T09:31:00Z",
                    "updated_at": "2026-11-22T09:31:00Z",
                }
            ]
        }
    )

    id: UUID
    name: str
    description: str | None
    model: str
    corpus: str
    feature_set: FeatureSetVersionRef | None
    dictionary: str | None
    baseline: dict[str, str]
    policy: DriftPolicy
    watchlist: list[str]
    enabled: bool
    unlabelled_concepts: list[str] = Field(
        description="Concepts that features claim and the corpus has no label of: for these no "
        "concept AUROC can be measured"
    )
    version: int
    created_at: datetime
    updated_at: datetime
