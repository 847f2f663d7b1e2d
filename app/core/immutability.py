"""Registered things never change: the same again is fine, something else under the name is not."""

from collections.abc import Mapping
from typing import Any

from app.core.errors import ConflictError, shorten


def require_same(kind: str, name: str, fields: Mapping[str, tuple[Any, Any]]) -> None:
    """Compare what is registered under a name with what is asked for.

    Args:
        fields: field → (registered, given).

    Raises:
        ConflictError: naming the first field that differs, and both values.
    """
    for field, (registered, given) in fields.items():
        if registered != given:
            raise ConflictError(
                f"{kind} {name!r} is registered with another {field}: {shorten(registered)!r}, "
                f"not {shorten(given)!r}; registered things never change, so choose another name",
                code="already_registered",
                field=field,
                value=given,
                registered=shorten(registered),
            )
