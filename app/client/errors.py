"""What goes wrong when the API is asked, as exceptions that carry the problem document."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from app.core.errors import shorten


class ClientError(Exception):
    """Base of everything that this client raises: what was wrong, and what to do."""


class ConfigurationError(ClientError):
    """The address of the API, or the key, cannot be one."""


class UnreachableError(ClientError):
    """The API does not answer, or not in time; the same request may succeed later."""


class NotTheApiError(ClientError):
    """Something answers there, and it is not the API of Featuredrift, or one of another version."""


class WaitTimeoutError(ClientError):
    """What was waited for has not ended in time; it goes on all the same.

    Attributes:
        last: what was read last.
    """

    def __init__(self, message: str, last: Any) -> None:
        super().__init__(message)
        self.last = last


class ApiError(ClientError):
    """The API refused, and says why (RFC 9457).

    Attributes:
        problem: the whole problem document.
        status: HTTP status; 0 where the mistake was found before anything was sent.
        code: the kind of problem, for programs.
        detail: what was wrong and what to do, for a person.
        field: the offending field of the request, if there is one.
        value: the offending value, shortened.
        request_id: the request's `X-Request-ID`, which the server's log lines bear.
    """

    def __init__(self, problem: Mapping[str, Any]) -> None:
        self.problem = dict(problem)
        self.status = int(problem.get("status") or 0)
        self.code = str(problem.get("code") or "")
        self.detail = str(problem.get("detail") or problem.get("title") or "")
        self.field: str | None = problem.get("field")
        self.value: Any = problem.get("value")
        self.request_id: str | None = problem.get("request_id")
        super().__init__(self.detail)


class InvalidInputError(ApiError):
    """A value is not acceptable (400, 413, 415, 422)."""


class UnauthorizedError(ApiError):
    """There is no API key, or it is not known, expired or revoked (401)."""


class ForbiddenError(ApiError):
    """The API key may not do this (403)."""


class NotFoundError(ApiError):
    """Nothing has that name or id (404)."""


class ConflictError(ApiError):
    """The name is taken by something else, or the state forbids it (409)."""


class PreconditionError(ApiError):
    """Somebody else has changed it since it was read (412, 428); read it again."""


class TooManyRequestsError(ApiError):
    """Too many requests or failed attempts (429)."""


class UnavailableError(ApiError, UnreachableError):
    """A service behind the API is away (502, 503, 504); the same request may succeed later."""


_BY_STATUS: dict[int, type[ApiError]] = {
    **dict.fromkeys((400, 413, 415, 422), InvalidInputError),
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    **dict.fromkeys((412, 428), PreconditionError),
    429: TooManyRequestsError,
    **dict.fromkeys((502, 503, 504), UnavailableError),
}


def error_of(problem: Mapping[str, Any], status: int) -> ApiError:
    """The exception for a problem document."""
    return _BY_STATUS.get(status, ApiError)({**problem, "status": status})


def invalid_here(error: ValidationError) -> InvalidInputError:
    """A mistake that the schemas find before anything is sent, in the API's own form."""
    fault = error.errors(include_url=False, include_context=False)[0]
    field = ".".join(str(part) for part in fault["loc"])
    message = fault["msg"].removeprefix("Value error, ")
    problem: dict[str, Any] = {"status": 0, "code": "invalid_input", "title": "Invalid input"}
    place = field
    if field:
        problem["field"] = field
    if fault["type"] != "missing" and not isinstance(fault["input"], dict | list | tuple | bytes):
        problem["value"] = shorten(fault["input"])
        place = f"{field} is {problem['value']!r}"
    problem["detail"] = f"{place}: {message}" if place else message
    return InvalidInputError(problem)
