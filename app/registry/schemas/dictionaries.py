"""Dictionaries (SAEs and transcoders) as they are sent and answered."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import ConfigDict, Field, model_validator

from app.core.schemas import Input, Output
from app.registry.definitions import Site
from app.registry.schemas.names import Description, Name, Source

_HubName = Annotated[str, Field(min_length=1, max_length=300, pattern=r"^[\x21-\x7e]+$")]


class DictionaryCreate(Input):
    """An SAE or transcoder in SAELens format: a directory or URI, or a release and an id."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "layer-2",
                    "site": "blocks.2.hook_resid_post",
                    "source": "/models/saes/layer-2",
                }
            ]
        }
    )

    name: Name
    description: Description
    site: Site | None = Field(
        default=None, description="Where it reads; default: the hook name in its own configuration"
    )
    source: Source | None = None
    release: _HubName | None = Field(default=None, description="A SAELens release")
    sae_id: _HubName | None = Field(default=None, description="An id within the release")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.release is None) != (self.sae_id is None):
            raise ValueError("release and sae_id belong together; give both")
        if (self.source is None) == (self.release is None):
            raise ValueError("give either source, or release and sae_id")
        return self


class DictionaryOut(Output):
    """A registered dictionary; what only its files can tell is null until a worker reads them."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "019ab7d2-5c00-7000-8000-000000000005",
                    "name": "layer-2",
                    "description": None,
                    "site": "blocks.2.hook_resid_post",
                    "source": "/models/saes/layer-2",
                    "release": None,
                    "sae_id": None,
                    "digest": "7c1f6c0f1d1c6d0a4f7a0e1e0b5d3b0c9f8a7e6d5c4b3a29181716151413121f",
                    "architecture": "jumprelu",
                    "d_in": 128,
                    "d_sae": 1024,
                    "created_at": "2026-11-22T09:31:00Z",
                }
            ]
        }
    )

    id: UUID
    name: str
    description: str | None
    site: str
    source: str | None
    release: str | None
    sae_id: str | None
    digest: str | None
    architecture: str | None
    d_in: int | None
    d_sae: int | None
    created_at: datetime
