"""The base of every request and response body."""

from typing import Annotated, Any, Generic, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

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


Item = TypeVar("Item", bound=Output)


class Page(Output, Generic[Item]):
    """One page of a list."""

    items: list[Item]
    next_cursor: str | None = Field(description="Where the next page starts; null on the last")

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The schema, with a page of the item's own example."""
        result = handler.resolve_ref_schema(handler(schema))
        item = cls.__pydantic_generic_metadata__["args"]
        extra = item[0].model_config.get("json_schema_extra") if item else None
        if isinstance(extra, dict) and isinstance(extra.get("examples"), list):
            examples: Any = extra["examples"]
            result["examples"] = [{"items": examples[:1], "next_cursor": None}]
        return result


def _check_text(text: str) -> str:
    if fault := text_fault(text):
        raise PydanticCustomError("text_fault", "{fault}", {"fault": fault})
    return text


StorableText = Annotated[str, AfterValidator(_check_text)]
"""Text of a query parameter or header that goes into a statement."""
