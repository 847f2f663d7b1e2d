"""Everything about a request but sending it: where, with which key, whether again, what came back.

The synchronous and the asynchronous client share it.
"""

import json
import os
import random
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from app.client.errors import (
    ClientError,
    ConfigurationError,
    NotTheApiError,
    UnauthorizedError,
    UnreachableError,
    error_of,
    invalid_here,
)
from app.core.etags import etag

DEFAULT_URL = "http://127.0.0.1:8321"
PAGE_SIZE = 200
POLL_SECONDS = 30.0
JSON_LINES = "application/jsonl"

_AGAIN = frozenset({429, 502, 503, 504})
_SAFE = frozenset({"GET", "HEAD"})
# Nothing of the request has been sent when one of these is raised, so that no method is unsafe.
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)

Shape = TypeVar("Shape")
Body = TypeVar("Body", bound=BaseModel)


@dataclass(frozen=True)
class Target:
    """Where the API is, and who asks.

    Raises:
        ConfigurationError: the address is none, or the key cannot stand in a header.
    """

    url: str
    api_key: str | None

    @classmethod
    def of(cls, url: str | None, api_key: str | None) -> "Target":
        """Arguments, else FEATUREDRIFT_URL and FEATUREDRIFT_API_KEY, else the local default."""
        address = (url or os.environ.get("FEATUREDRIFT_URL") or DEFAULT_URL).strip()
        key = api_key or os.environ.get("FEATUREDRIFT_API_KEY") or None
        try:
            parts = urlsplit(address)
            usable = parts.scheme in {"http", "https"} and bool(parts.hostname)
            _ = parts.port, httpx.URL(address)
        except (ValueError, httpx.InvalidURL):
            usable = False
        if not usable:
            raise ConfigurationError(
                f"{address!r} is no web address of the API; give http://host:port or https://host "
                "(argument url, --url, or FEATUREDRIFT_URL)"
            )
        if parts.username is not None or parts.query or parts.fragment:
            raise ConfigurationError(
                "the API's address has a user name, a query or a fragment; give it without "
                "(an API key belongs into FEATUREDRIFT_API_KEY)"
            )
        if key is not None:
            key = key.strip()
            if not key.isascii() or not key.isprintable() or " " in key or not key:
                raise ConfigurationError(
                    "the API key holds blanks or characters that no key has; look at "
                    "FEATUREDRIFT_API_KEY (it is not shown here)"
                )
        return cls(address.rstrip("/"), key)

    def headers(self) -> dict[str, str]:
        """Of every request."""
        headers = {"Accept": "application/json", "User-Agent": "featuredrift-client"}
        if self.api_key is not None:
            headers["Authorization"] = f"Bearer {self.api_key}"
        return headers


@dataclass(frozen=True)
class Retries:
    """When a request is sent again: only where that cannot have a second effect.

    Attributes:
        most: further attempts after the first.
        base, cap: seconds; the n-th pause is random between 0 and min(cap, base·2ⁿ) ("full
            jitter", M. Brooker, Exponential Backoff And Jitter, 2015), and at least Retry-After.
        patience: a longer Retry-After is not waited for.
    """

    most: int = 4
    base: float = 0.5
    cap: float = 8.0
    patience: float = 60.0

    def after_answer(
        self, request: httpx.Request, response: httpx.Response, sent: int
    ) -> float | None:
        """Seconds to wait before the next attempt; None: this answer is the last.

        Args:
            sent: attempts so far.
        """
        if sent > self.most or response.status_code not in _AGAIN or not _is_repeatable(request):
            return None
        asked = _retry_after(response.headers.get("retry-after"))
        if asked > self.patience:
            return None
        return asked + self._pause(sent)

    def after_error(
        self, request: httpx.Request, error: httpx.TransportError, sent: int
    ) -> float | None:
        """Likewise, where no answer came."""
        if sent > self.most or isinstance(error, httpx.UnsupportedProtocol):
            return None
        if not _is_repeatable(request) and not isinstance(error, _UNSENT):
            return None
        return self._pause(sent)

    def _pause(self, sent: int) -> float:
        return random.uniform(0.0, min(self.cap, self.base * 2.0 ** (sent - 1)))  # noqa: S311 - jitter


def request_headers(
    method: str, version: int | None, idempotency_key: str | None
) -> dict[str, str]:
    """A POST is always named, so that it can be sent again with no second effect."""
    headers = {}
    if method == "POST":
        headers["Idempotency-Key"] = idempotency_key or str(uuid.uuid4())
    if version is not None:
        headers["If-Match"] = etag(version)
    return headers


def path_of(*parts: object) -> str:
    """`/v1/…` with each part escaped."""
    return "/v1/" + "/".join(quote(str(part), safe=":") for part in parts)


def query_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """Query parameters: what is None is left out, and so is an empty list."""
    return {name: value for name, value in values.items() if value is not None and value != ()}


def several(value: str | Sequence[str]) -> tuple[str, ...]:
    """One value or several of a filter."""
    return (value,) if isinstance(value, str) else tuple(value)


def build(schema: type[Body], **fields: Any) -> Body:
    """A request body, checked before it is sent.

    Raises:
        InvalidInputError: naming the field and the value.
    """
    try:
        return schema.model_validate(fields)
    except ValidationError as error:
        raise invalid_here(error) from None


def given(**fields: Any) -> dict[str, Any]:
    """Those that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def content_of(body: BaseModel) -> bytes:
    """A body's JSON: only what was set, so that the server's own defaults hold."""
    return body.model_dump_json(exclude_unset=True).encode()


def unreachable(target: Target, error: httpx.TransportError) -> UnreachableError:
    """Nobody answers there."""
    reason = str(error) or type(error).__name__
    if isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.ConnectTimeout):
        return UnreachableError(
            f"The API at {target.url} did not answer in time ({type(error).__name__}); it may be "
            "busy: try again, or give a longer timeout."
        )
    return UnreachableError(
        f"The API at {target.url} does not answer: {reason}. Start it (`featuredrift up`), or name "
        "another by --url or FEATUREDRIFT_URL."
    )


def check(target: Target, response: httpx.Response) -> httpx.Response:
    """The response itself, where it is a success.

    Raises:
        ApiError: the API refused.
        NotTheApiError: what answers is not the API.
    """
    if response.is_success:
        return response
    problem = _json(response)
    if not isinstance(problem, dict) or not {"status", "code", "detail"} <= problem.keys():
        raise _strange(target, response)
    error = error_of(problem, response.status_code)
    if isinstance(error, UnauthorizedError) and target.api_key is None:
        detail = f"{error.detail}; set FEATUREDRIFT_API_KEY to a key of this deployment"
        error = UnauthorizedError({**error.problem, "detail": detail})
    raise error


def parse(target: Target, shape: Any, response: httpx.Response) -> Any:
    """What the answer holds, as `shape`.

    Raises:
        NotTheApiError: it does not have that form.
    """
    try:
        return TypeAdapter(shape).validate_json(response.content)
    except ValidationError as error:
        if not isinstance(_json(response), dict):
            raise _strange(target, response) from None
        fault = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in fault["loc"])
        raise NotTheApiError(
            f"{response.request.url} answered in a form that this version does not know "
            f"({place}: {fault['msg']}); use the client of the service's version"
        ) from None


def closed() -> ClientError:
    """A client was used after its end."""
    return ClientError("this client is closed; make a new one")


def _strange(target: Target, response: httpx.Response) -> ClientError:
    if response.status_code in {502, 503, 504}:
        return UnreachableError(
            f"What stands before the API at {target.url} answered {response.status_code}; try again"
        )
    if response.status_code == httpx.codes.UNAUTHORIZED:
        return error_of({"code": "unauthorized", "detail": _said(response)}, 401)
    return NotTheApiError(
        f"{response.request.url} is not the API of Featuredrift: {_said(response)}; check the "
        "address (--url or FEATUREDRIFT_URL)"
    )


def _said(response: httpx.Response) -> str:
    if response.has_redirect_location:
        return f"it points to {response.headers['location'][:200]!r}"
    text = " ".join(response.text[:200].split())
    return f"it answered {response.status_code} {text!r}"


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        return None


def _is_repeatable(request: httpx.Request) -> bool:
    return request.method in _SAFE or "idempotency-key" in request.headers


def _retry_after(value: str | None) -> float:
    """Seconds of a Retry-After: a number, or a date (RFC 9110, section 10.2.3)."""
    if value is None:
        return 0.0
    if value.strip().isdecimal():
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.now(UTC)).total_seconds())
