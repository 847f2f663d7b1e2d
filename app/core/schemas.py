"""The base of every request and response body."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from app.core.text import find_text_fault, text_fault


class Input(BaseModel):
    """A request body: frozen, with no unknown field, no NaN, and only text that can be stored."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        found = find_text_fault(value)
        if found is not None:
            path, fault = found
            raise PydanticCustomError(
                "text_fault", "{fault}", {"fault": fault, "path": [str(part) for part in path]}
            )
        return value


class Output(BaseModel):
    """A response body, built from rows or from values."""

    model_config = ConfigDict(from_attributes=True)


def _check_text(text: str) -> str:
    if fault := text_fault(text):
        raise PydanticCustomError("text_fault", "{fault}", {"fault": fault})
    return text


StorableText = Annotated[str, AfterValidator(_check_text)]
"""Text of a query parameter or header that goes into a statement."""
