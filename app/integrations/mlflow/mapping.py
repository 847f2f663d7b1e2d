"""How a registered model of MLflow becomes a model here, and its versions checkpoints.

Imports nothing of the system: it is part of the settings, which everything imports.
"""

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
PLACEHOLDERS = ("name", "version", "source", "run_id")
_PLACEHOLDER = re.compile(r"\{(\w*)\}")


def _check_template(template: str) -> str:
    unknown = [name for name in _PLACEHOLDER.findall(template) if name not in PLACEHOLDERS]
    if unknown:
        known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
        raise ValueError(f"{{{unknown[0]}}} in {template!r} is no placeholder; there are {known}")
    return template


Template = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_check_template)]
_Name = Annotated[str, Field(pattern=NAME_PATTERN)]


class MlflowModel(BaseModel):
    """What is done with the versions of one registered model of MLflow."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: _Name = Field(description="The model here; it must be registered")
    checkpoint: Template = Field("v{version}", description="The checkpoint's name")
    source: Template = Field("{source}", description="Where the checkpoint's files are")
    source_tag: str | None = Field(
        default=None,
        min_length=1,
        max_length=250,
        description="A tag of the version whose value is the source, in place of `source`; a "
        "version is registered when it has the tag",
    )
    replace_prefix: dict[str, str] = Field(
        default_factory=dict,
        description="Beginnings of source URIs that are reached under another address here; the "
        "longest that fits is replaced",
    )
    aliases: dict[str, _Name] = Field(
        default_factory=dict, description="Alias in MLflow → alias here that follows it"
    )


def fill(template: str, values: dict[str, str | None]) -> str | None:
    """The template with its placeholders filled; None where one has no value."""
    needed = _PLACEHOLDER.findall(template)
    if any(not values.get(name) for name in needed):
        return None
    return _PLACEHOLDER.sub(lambda found: str(values[found.group(1)]), template)


def reachable(mapping: MlflowModel, source: str) -> str:
    """The source under the address that it has here."""
    fitting = [prefix for prefix in mapping.replace_prefix if source.startswith(prefix)]
    if not fitting:
        return source
    longest = max(fitting, key=len)
    return mapping.replace_prefix[longest] + source.removeprefix(longest)
