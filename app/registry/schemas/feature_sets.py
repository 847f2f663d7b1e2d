"""Feature sets, their versions and their features as they are sent and answered."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import ConfigDict, Field, field_validator

from app.core.schemas import Input, Output
from app.registry.definitions import Feature, check_feature_list
from app.registry.schemas.names import Description, Name

MAX_FEATURES = 10_000
_DIGEST = "7c1f6c0f1d1c6d0a4f7a0e1e0b5d3b0c9f8a7e6d5c4b3a29181716151413121f"
_FEATURES: list[Any] = [
    {"kind": "sae_latent", "name": "phone", "dictionary": "layer-2", "index": 17},
    {"kind": "neuron", "name": "n5", "site": "blocks.2.hook_resid_post", "index": 5},
    {
        "kind": "composite",
        "name": "contact",
        "operation": "max",
        "components": [{"feature": "phone"}, {"feature": "n5", "weight": 0.5}],
    },
]


class FeatureSetCreate(Input):
    """Publishes a version: the first one of a new set, or the next one of a set that exists."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "contact-data", "features": _FEATURES}]}
    )

    name: Name
    description: Description
    features: tuple[Feature, ...] = Field(min_length=1, max_length=MAX_FEATURES)

    @field_validator("features", mode="before")
    @classmethod
    def _few_enough(cls, features: Any) -> Any:
        # Before each of millions has an error of its own.
        if isinstance(features, list) and len(features) > MAX_FEATURES:
            raise ValueError(f"there are {len(features)}; a version has at most {MAX_FEATURES}")
        return features

    @field_validator("features")
    @classmethod
    def _fit_together(cls, features: tuple[Feature, ...]) -> tuple[Feature, ...]:
        check_feature_list(features)
        return features


class FeatureSetOut(Output):
    """A named line of versions."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "019ab7d2-5c00-7000-8000-000000000006",
                    "name": "contact-data",
                    "description": None,
                    "latest_version": 1,
                    "created_at": "2026-11-22T09:31:00Z",
                }
            ]
        }
    )

    id: UUID
    name: str
    description: str | None
    latest_version: int
    created_at: datetime


class FeatureSummary(Output):
    """A feature of a version, without its vectors."""

    id: UUID
    name: str
    kind: str
    concept: str | None
    definition_digest: str


class FeatureSetVersionOut(Output):
    """An immutable list of features."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "019ab7d2-5c00-7000-8000-000000000007",
                    "feature_set": "contact-data",
                    "version": 1,
                    "digest": _DIGEST,
                    "features_count": 1,
                    "features": [
                        {
                            "id": "019ab7d2-5c00-7000-8000-000000000008",
                            "name": "phone",
                            "kind": "sae_latent",
                            "concept": "phone",
                            "definition_digest": _DIGEST,
                        }
                    ],
                    "created_at": "2026-11-22T09:31:00Z",
                }
            ]
        }
    )

    id: UUID
    feature_set: str
    version: int
    digest: str
    features_count: int
    features: list[FeatureSummary]
    created_at: datetime


class VersionOut(Output):
    """A version as it stands in the list of versions."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "019ab7d2-5c00-7000-8000-000000000007",
                    "feature_set": "contact-data",
                    "version": 1,
                    "digest": _DIGEST,
                    "features_count": 1,
                    "created_at": "2026-11-22T09:31:00Z",
                }
            ]
        }
    )

    id: UUID
    feature_set: str
    version: int
    digest: str
    features_count: int
    created_at: datetime


class FeatureOut(Output):
    """One feature with its full definition."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "019ab7d2-5c00-7000-8000-000000000008",
                    "feature_set": "contact-data",
                    "version": 1,
                    "name": "phone",
                    "kind": "sae_latent",
                    "concept": "phone",
                    "definition": _FEATURES[0],
                    "definition_digest": _DIGEST,
                }
            ]
        }
    )

    id: UUID
    feature_set: str
    version: int
    name: str
    kind: str
    concept: str | None
    definition: dict[str, Any]
    definition_digest: str
