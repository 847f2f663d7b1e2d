"""Names as they stand in the paths of requests."""

from typing import Annotated

from fastapi import Path

from app.registry.definitions import NAME_PATTERN

ModelName = Annotated[str, Path(pattern=NAME_PATTERN, description="A model's name")]
CheckpointName = Annotated[str, Path(pattern=NAME_PATTERN, description="A checkpoint's name")]
AliasName = Annotated[str, Path(pattern=NAME_PATTERN, description="An alias' name")]
CorpusName = Annotated[str, Path(pattern=NAME_PATTERN, description="A corpus' name")]
DictionaryName = Annotated[str, Path(pattern=NAME_PATTERN, description="A dictionary's name")]
FeatureSetName = Annotated[str, Path(pattern=NAME_PATTERN, description="A feature set's name")]
MonitorName = Annotated[str, Path(pattern=NAME_PATTERN, description="A monitor's name")]
VersionNumber = Annotated[int, Path(ge=1, le=2**31 - 1, description="A version's number")]
