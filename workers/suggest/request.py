"""What is asked for, as one JSON object on stdin."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from app.registry.schemas.corpora import CorpusOut
from app.registry.schemas.dictionaries import DictionaryOut
from app.registry.schemas.models import CheckpointOut


class Request(BaseModel):
    """Definitions as the API answers them, and the options of the command."""

    model_config = ConfigDict(extra="forbid")

    checkpoint: CheckpointOut
    dictionary: DictionaryOut
    corpus: CorpusOut
    documents: Path | None = Field(default=None, description="Where the store is not within reach")
    concepts: list[str] = Field(min_length=1)
    device: Literal["auto", "cpu", "cuda"]
    tokens: int = Field(ge=1000, description="At most so many are read")
    per_concept: int = Field(ge=1, le=20)
    seed: int = Field(ge=0)
