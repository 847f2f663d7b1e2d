"""Errors that a caller sees: one base, a stable code, what was wrong, which value, what to do."""

from collections.abc import Mapping
from typing import Any

PROBLEM_TYPE_BASE = "urn:featuredrift:problem:"


class FeaturedriftError(Exception):
    """Base of all errors that become `application/problem+json` (RFC 9457).

    Args:
        detail: what was wrong and what to do, for a person.
        field: the offending field of the request, if there is one.
        value: the offending value; shortened when it is long.
        headers: of the answer.
        extra: further members of the problem document.
    """

    status = 400
    code = "bad_request"
    title = "Bad request"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        field: str | None = None,
        value: Any = None,
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or type(self).code
        self.field = field
        self.value = value
        self.headers = dict(headers or {})
        self.extra = extra

    def problem(self) -> dict[str, Any]:
        """The problem document, without `instance`."""
        document: dict[str, Any] = {
            "type": PROBLEM_TYPE_BASE + self.code,
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }
        if self.field is not None:
            document["field"] = self.field
        if self.value is not None:
            document["value"] = shorten(self.value)
        return document | self.extra


def shorten(value: Any, limit: int = 200) -> Any:
    """A value fit to be echoed: long texts are cut, other types go through as text."""
    if isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= limit else text[:limit] + "…"


class InvalidInputError(FeaturedriftError):
    """The request is well-formed but its content is not acceptable."""

    status, code, title = 422, "invalid_input", "Invalid input"


class NotFoundError(FeaturedriftError):
    """Nothing has that name or id."""

    status, code, title = 404, "not_found", "Not found"


class ConflictError(FeaturedriftError):
    """The name is taken by something else, or the state forbids it."""

    status, code, title = 409, "conflict", "Conflict"


class PreconditionFailedError(FeaturedriftError):
    """`If-Match` does not name the current version."""

    status, code, title = 412, "precondition_failed", "Precondition failed"


class PreconditionRequiredError(FeaturedriftError):
    """The change needs an `If-Match`."""

    status, code, title = 428, "precondition_required", "Precondition required"


class TooLargeError(FeaturedriftError):
    """The body is over the limit."""

    status, code, title = 413, "body_too_large", "Body too large"


class UnavailableError(FeaturedriftError):
    """A backing service does not answer; the request may be sent again."""

    status, code, title = 503, "unavailable", "Temporarily unavailable"


class MalformedJsonError(FeaturedriftError):
    """The body is not JSON at all."""

    status, code, title = 400, "malformed_json", "Malformed JSON"


class UnsupportedMediaTypeError(FeaturedriftError):
    """The body is of a type that this resource does not read."""

    status, code, title = 415, "unsupported_media_type", "Unsupported media type"


class StartError(Exception):
    """A process cannot start; the message says why and what to do."""
