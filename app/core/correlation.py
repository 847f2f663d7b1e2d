"""One id from a request to all the work that it causes: request, outbox, broker, worker.

`X-Request-ID` names a request, W3C Trace Context (`traceparent`) its trace. Both are kept with the
rows that the request writes, so that processes which never saw the request can name it.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import structlog

from app.core.ids import new_id

REQUEST_ID_HEADER = "x-request-id"
TRACEPARENT_HEADER = "traceparent"

# What other systems use as ids, and nothing that could forge a line of a log or a header.
_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=@-]{0,127}", re.ASCII)
_TRACEPARENT = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<parent>[0-9a-f]{16})-[0-9a-f]{2}"
    r"(?P<more>-[\x21-\x7e]*)?",
    re.ASCII,
)


@dataclass(frozen=True)
class Correlation:
    """What caused the work at hand.

    Attributes:
        request_id: the id of the request, at most 128 characters of ASCII.
        traceparent: the span that is the parent of what happens next, by W3C Trace Context.
    """

    request_id: str | None = None
    traceparent: str | None = None

    @property
    def trace_id(self) -> str | None:
        """The trace's id: 32 hexadecimal digits."""
        return self.traceparent.split("-")[1] if self.traceparent else None

    def names(self) -> dict[str, str]:
        """What every line of a log says of it."""
        found = {"request_id": self.request_id, "trace_id": self.trace_id}
        return {key: value for key, value in found.items() if value is not None}


NO_CAUSE = Correlation()
"""Work that no request has caused, or none that is known."""

_current: ContextVar[Correlation] = ContextVar("correlation", default=NO_CAUSE)


def current() -> Correlation:
    """What caused the work that this thread or coroutine does."""
    return _current.get()


def begin(correlation: Correlation, **names: Any) -> None:
    """Let this context's work be caused by a request; what a former request bound is gone."""
    _current.set(correlation)
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**correlation.names(), **names)


@contextmanager
def correlated(correlation: Correlation, **names: Any) -> Iterator[None]:
    """Let the block's work be caused by a request, and its log lines say so, with more names."""
    token = _current.set(correlation)
    try:
        with structlog.contextvars.bound_contextvars(**correlation.names(), **names):
            yield
    finally:
        _current.reset(token)


def accept_request_id(given: str | None) -> str:
    """The caller's id of its request if it can be used, else a new one."""
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given
    return new_id().hex


def accept_traceparent(given: str | None) -> str | None:
    """A caller's `traceparent` if it is valid by W3C Trace Context, cut to version 00; else None.

    https://www.w3.org/TR/trace-context/#traceparent-header: a later version is read as far as this
    one goes, and ids of zeros are void.
    """
    match = _TRACEPARENT.fullmatch(given) if given is not None and len(given) <= 512 else None
    if match is None or match["version"] == "ff" or (match["version"] == "00" and match["more"]):
        return None
    if not match["trace"].strip("0") or not match["parent"].strip("0"):
        return None
    flags = match[0][53:55]
    # Of a later version's flags only "sampled" is known.
    sampled = "01" if int(flags, 16) & 1 else "00"
    return f"00-{match['trace']}-{match['parent']}-{sampled}"
