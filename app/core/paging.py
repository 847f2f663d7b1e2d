"""Lists are paged by opaque cursor, newest first, never unbounded."""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

from fastapi import Query
from pydantic import TypeAdapter, ValidationError

from app.core.errors import InvalidInputError

MAX_LIMIT = 500
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Items a page")]
Cursor = Annotated[
    str | None,
    Query(max_length=2000, description="`next_cursor` of the page before; none for the first"),
]

Row = TypeVar("Row")
Position = TypeVar("Position")


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
