"""`ETag` and `If-Match` (RFC 9110): nobody overwrites a change they have not seen."""

from typing import Annotated

from fastapi import Header

from app.core.errors import PreconditionFailedError, PreconditionRequiredError
from app.core.etags import etag

IfMatch = Annotated[
    str | None,
    Header(max_length=1000, description='The `ETag` of the version that was read, such as `"3"`'),
]


def check_if_match(if_match: str | None, version: int, *, required: bool = True) -> None:
    """Refuse a change that was not made on the current version.

    Raises:
        PreconditionRequiredError: there is no `If-Match` and it is required.
        PreconditionFailedError: it names another version.
    """
    current = etag(version)
    if if_match is None:
        if required:
            raise PreconditionRequiredError(
                f"a change needs If-Match with the ETag that you read; it is {current} now",
                field="If-Match",
            )
        return
    tags = [tag.strip() for tag in if_match.split(",")]
    if "*" not in tags and current not in tags:
        raise PreconditionFailedError(
            f"If-Match does not name the current version {current}; read the resource again and "
            "repeat the change on what you find",
            field="If-Match",
            value=if_match,
        )
