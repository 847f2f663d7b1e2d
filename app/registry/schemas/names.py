"""Names and texts as they stand in bodies."""

from typing import Annotated

from pydantic import Field

from app.registry.definitions import Name

Description = Annotated[
    str | None, Field(default=None, max_length=2000, description="For people; never interpreted")
]
Sha256 = Annotated[
    str, Field(pattern=r"^[0-9a-f]{64}$", description="A SHA-256, 64 hexadecimal digits")
]
Source = Annotated[str, Field(min_length=1, max_length=2000)]

__all__ = ["Description", "Name", "Sha256", "Source"]
