"""Probe corpora as they are sent and answered."""

from datetime import datetime
from typing import Any, Self
from uuid import UUID

from pydantic import ConfigDict, Field, model_validator

from app.core.schemas import Input, Output
from app.registry.perturbations import PERTURBATIONS, Perturbation
from app.registry.schemas.names import Description, Name, Source


class CorpusCreate(Input):
    """A corpus given in place, or by where it lies."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "support-probes",
                    "documents": [
                        {
                            "id": "d1",
                            "text": "Call me at 555-0100.",
                            "labels": {"phone": [[11, 19]]},
                        },
                        {"id": "d2", "text": "No number here.", "labels": {"phone": False}},
                    ],
                }
            ]
        }
    )

    name: Name
    description: Description
    uri: Source | None = Field(
        default=None, description="A JSON Lines file under an allowed root, readable by the API"
    )
    documents: list[Any] | None = Field(default=None, description="The documents themselves")
    perturbations: list[Perturbation] = Field(
        default=[],
        max_length=len(PERTURBATIONS),
        description="Variants to add of each document that is no variant: `<id>~case` and so on",
    )

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.uri is None) == (self.documents is None):
            raise ValueError("give either documents or uri, not both and not neither")
        return self


class CorpusOut(Output):
    """A registered corpus; the documents themselves are an artifact."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "019ab7d2-5c00-7000-8000-000000000004",
                    "name": "support-probes",
                    "description": None,
                    "digest": "7c1f6c0f1d1c6d0a4f7a0e1e0b5d3b0c9f8a7e6d5c4b3a29181716151413121f",
                    "documents": 4,
                    "groups": 2,
                    "characters": 70,
                    "concepts": {"phone": {"documents": 2, "spans": 2}},
                    "perturbations": {"case": {"documents": 2, "left_out": 0}},
                    "created_at": "2026-11-22T09:31:00Z",
                }
            ]
        }
    )

    id: UUID
    name: str
    description: str | None
    digest: str = Field(description="SHA-256 of the canonical JSON Lines form")
    documents: int
    groups: int = Field(
        description="Units of inference: groups, documents with their variants, near-copies"
    )
    characters: int
    concepts: dict[str, dict[str, int]]
    perturbations: dict[str, dict[str, int]] = Field(
        description="Per perturbation, how many documents are such a variant, and how many "
        "originals have none: it did not apply to them, or changed nothing"
    )
    created_at: datetime
