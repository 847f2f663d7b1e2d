"""Names and texts as they stand in paths and bodies."""

from typing import Annotated

from fastapi import Path
from pydantic import Field

from app.registry.definitions import NAME_PATTERN, Name

Description = Annotated[
    str | None, Field(default=None, max_length=2000, description="For people; never interpreted")
]
Sha256 = Annotated[
    str, Field(pattern=r"^[0-9a-f]{64}$", description="A SHA-256, 64 hexadecimal digits")
]
Source = Annotated[str, Field(min_length=1, max_length=2000)]

ModelName = Annotated[str, Path(pattern=NAME_PATTERN, description="A model's name")]
CheckpointName = Annotated[str, Path(pattern=NAME_PATTERN, description="A checkpoint's name")]
AliasName = Annotated[str, Path(pattern=NAME_PATTERN, description="An alias' name")]
CorpusName = Annotated[str, Path(pattern=NAME_PATTERN, description="A corpus' name")]
DictionaryName = Annotated[str, Path(pattern=NAME_PATTERN, description="A dictionary's name")]
FeatureSetName = Annotated[str, Path(pattern=NAME_PATTERN, description="A feature set's name")]
MonitorName = Annotated[str, Path(pattern=NAME_PATTERN, description="A monitor's name")]
VersionNumber = Annotated[int, Path(ge=1, le=2**31 - 1, description="A version's number")]

__all__ = [
    "AliasName",
    "CheckpointName",
    "CorpusName",
    "Description",
    "DictionaryName",
    "FeatureSetName",
    "ModelName",
    "MonitorName",
    "Name",
    "Sha256",
    "Source",
    "VersionNumber",
]
