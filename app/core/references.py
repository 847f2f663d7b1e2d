"""What a path cannot find is a 404; what a body refers to in vain is a 422 of that field."""

from collections.abc import Iterator
from contextlib import contextmanager

from app.core.errors import InvalidInputError, NotFoundError


@contextmanager
def referred_to_by(field: str) -> Iterator[None]:
    """Name the body's field that refers to something that does not exist.

    Raises:
        InvalidInputError: instead of NotFoundError.
    """
    try:
        yield
    except NotFoundError as error:
        raise InvalidInputError(
            error.detail, code=error.code, field=field, value=error.value
        ) from error
