"""Every error answer is `application/problem+json` (RFC 9457) with a stable `type` and `code`."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from math import isfinite
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from app.core import correlation
from app.core.errors import PROBLEM_TYPE_BASE, FeaturedriftError, UnavailableError, shorten
from app.core.logging import get_logger

_log = get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 2
UNREACHABLE = (OperationalError, InterfaceError, PoolTimeoutError)
_MAX_ERRORS = 20
_HTTP_CODES = {
    400: "bad_request",
    404: "no_such_route",
    405: "method_not_allowed",
    408: "body_too_slow",
    413: "body_too_large",
}


class Problem(BaseModel):
    """What was wrong, which value, what to do."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "type": f"{PROBLEM_TYPE_BASE}invalid_input",
                    "title": "Invalid input",
                    "status": 422,
                    "code": "invalid_input",
                    "detail": "'blocks 3' is no site; give a TransformerLens hook name",
                    "field": "site",
                    "value": "blocks 3",
                    "instance": "/v1/dictionaries",
                }
            ]
        },
    )

    type: str = Field(description="A stable URN of the kind of problem")
    title: str
    status: int
    code: str = Field(description="The last part of `type`, for programs")
    detail: str = Field(description="What was wrong and what to do, for a person")
    field: str | None = Field(default=None, description="The offending field of the request")
    value: Any = Field(default=None, description="The offending value, shortened")
    instance: str | None = None
    request_id: str | None = Field(
        default=None, description="The request's `X-Request-ID`, which the server's log lines bear"
    )
    trace_id: str | None = Field(default=None, description="The trace's id, if there is a trace")


PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "A problem",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
}


def problem_response(
    request: Request, document: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> Response:
    """The answer for a problem document; what cannot be sent as JSON is escaped."""
    named = {"instance": request.url.path, **correlation.current().names()}
    content = _sendable({**document, **named})
    return Response(
        json.dumps(content, allow_nan=False),
        status_code=document["status"],
        media_type=MEDIA_TYPE,
        headers=dict(headers or {}),
    )


def install_problem_handlers(app: FastAPI) -> None:
    """Turn every error that can leave an endpoint into a problem document."""
    app.add_exception_handler(FeaturedriftError, _on_own_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_error)
    for unreachable in UNREACHABLE:
        app.add_exception_handler(unreachable, _on_unreachable_database)
    app.add_exception_handler(Exception, _on_unexpected)


async def _on_own_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, FeaturedriftError)  # noqa: S101 - narrows the handler's signature
    return own_error_response(request, error)


def own_error_response(request: Request, error: FeaturedriftError) -> Response:
    """The answer that an error of ours makes."""
    return problem_response(
        request, error.problem(), {**retry_headers(error.status), **error.headers}
    )


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - narrows the handler's signature
    status = error.status_code
    code = _HTTP_CODES.get(status, "http_error")
    detail = str(error.detail)
    if status == 404:
        detail = f"there is nothing at {request.url.path}; see /docs for all resources"
    elif status == 405:
        allowed = (error.headers or {}).get("Allow", "other methods")
        detail = f"{request.method} is not possible at {request.url.path}; it takes {allowed}"
    return problem_response(request, plain_problem(status, code, detail), error.headers)


async def _on_invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - narrows the signature
    errors = error.errors()
    first = errors[0]
    if first["type"] == "json_invalid":
        reason = first["ctx"]["error"]
        detail = f"the body is not JSON: {reason} at character {first['loc'][-1]}"
        return problem_response(request, plain_problem(400, "malformed_json", detail))
    if tuple(first["loc"]) == ("body",) and _is_not_json(request):
        given = request.headers.get("content-type", "(none)")
        detail = f"Content-Type is {given}; send application/json (curl: --json)"
        return problem_response(request, plain_problem(415, "unsupported_media_type", detail))
    faults = [_fault(item) for item in errors[:_MAX_ERRORS]]
    field, message = faults[0]["field"], faults[0]["message"]
    document = plain_problem(422, "invalid_input", f"{field}: {message}" if field else message)
    return problem_response(request, {**document, **faults[0], "errors": faults})


async def _on_unreachable_database(request: Request, error: Exception) -> Response:
    return unreachable_response(request, error)


def unreachable_response(request: Request, error: Exception) -> Response:
    """The answer while the database is away."""
    # The driver's text can hold host names and statements; the log has it, the caller need not.
    reason = type(getattr(error, "orig", None) or error).__name__
    _log.warning("the database does not answer", path=request.url.path, error=str(error))
    problem = UnavailableError(
        f"the database does not answer in time ({reason}); send the request again, with the same "
        "Idempotency-Key if it is a POST"
    )
    return problem_response(request, problem.problem(), retry_headers(503))


async def _on_unexpected(request: Request, _error: Exception) -> Response:
    detail = "an unexpected error, which the server's log explains; nothing was changed"
    return problem_response(request, plain_problem(500, "internal_error", detail))


def plain_problem(status: int, code: str, detail: str) -> dict[str, Any]:
    """A problem document that names no field."""
    return {
        "type": PROBLEM_TYPE_BASE + code,
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
    }


def retry_headers(status: int) -> dict[str, str]:
    """`Retry-After` where the same request may succeed soon."""
    return {"Retry-After": str(RETRY_AFTER_SECONDS)} if status == 503 else {}


def _is_not_json(request: Request) -> bool:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return not (media_type == "application/json" or media_type.endswith("+json"))


def _fault(error: Mapping[str, Any]) -> dict[str, Any]:
    context = error.get("ctx") or {}
    # The first part says where (body, path, query, header); the field's name says it better.
    place: Sequence[Any] = [*error["loc"][1:], *context.get("path", ())]
    message = str(context["error"]) if error["type"] == "value_error" else error["msg"]
    fault = {"field": ".".join(str(part) for part in place), "message": message}
    if error["type"] != "missing" and not isinstance(error.get("input"), dict | list | bytes):
        fault["value"] = shorten(error.get("input"))
    return fault


def _sendable(value: Any) -> Any:
    """A JSON value with neither NaN nor half of a surrogate pair."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _sendable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_sendable(item) for item in value]
    return value
