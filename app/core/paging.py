"""Lists are paged by opaque cursor, newest first, never unbounded."""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Query
from pydantic import Field, GetJsonSchemaHandler, TypeAdapter, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from app.core.errors import InvalidInputError
from app.core.schemas import Output

MAX_LIMIT = 500
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Items a page")]
Cursor = Annotated[
    str | None,
    Query(max_length=2000, description="`next_cursor` of the page before; none for the first"),
]

Row = TypeVar("Row")
Item = TypeVar("Item", bound=Output)
Position = TypeVar("Position")


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


def encode_cursor(position: Any) -> str:
    """An opaque cursor that says after which row the next page starts."""
    return base64.urlsafe_b64encode(json.dumps(position, default=str).encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None, kind: type[Position]) -> Position | None:
    """The position that `encode_cursor` was given.

    Args:
        cursor: as the caller sent it.
        kind: the type of the position: `UUID`, or a NamedTuple.

    Raises:
        InvalidInputError: the cursor was not made by this list.
    """
    if cursor is None:
        return None
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return TypeAdapter(kind).validate_python(json.loads(raw))
    except (binascii.Error, ValueError, ValidationError, RecursionError) as error:
        raise InvalidInputError(
            "the cursor was not made by this list; start again without one",
            code="invalid_cursor",
            field="cursor",
            value=cursor,
        ) from error


def make_page(
    rows: Sequence[Row],
    limit: int,
    position: Callable[[Row], Any],
) -> tuple[Sequence[Row], str | None]:
    """Cut `limit + 1` rows, as a repository reads them, into a page and the next cursor."""
    if len(rows) <= limit:
        return rows, None
    page = rows[:limit]
    return page, encode_cursor(position(page[-1]))
