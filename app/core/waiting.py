"""Long polls: `?wait=30s`, in short transactions, never holding one while waiting."""

import re
import threading
import time
from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import Query

from app.core.errors import InvalidInputError

_DURATION = re.compile(r"(?P<number>\d{1,6}(?:\.\d{1,3})?)(?P<unit>ms|s|m|h)?", re.ASCII)
_SECONDS = {None: 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
POLL_INTERVAL = 0.2

# A waiting request holds one of the server's threads. Past this many, an answer comes at once and
# says what holds now, so that waiting callers can never keep others out.
MAX_WAITING = 32

Result = TypeVar("Result")

Wait = Annotated[
    str | None,
    Query(
        max_length=20,
        description="Answer only when it is decided, or after this long: `30`, `30s`, `2m`. "
        "Longer waits than the server allows are cut; ask again.",
        examples=["30s"],
    ),
]


def parse_duration(text: str) -> float:
    """Seconds of a duration: `30`, `30s`, `1.5m`, `250ms`.

    Raises:
        InvalidInputError: it is none.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise InvalidInputError(
            f"{text!r} is no duration; give seconds or a unit, such as 30, 30s or 2m",
            code="invalid_duration",
            field="wait",
            value=text,
        )
    return float(match["number"]) * _SECONDS[match["unit"]]


class Waiting:
    """The waiting requests of one application.

    Args:
        longest: the longest wait in seconds, whatever a caller wishes.
    """

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._places = threading.BoundedSemaphore(MAX_WAITING)
        self._closing = threading.Event()

    def close(self) -> None:
        """Let every waiting request answer now: the process is about to end."""
        self._closing.set()

    def until(
        self, decided: Callable[[Result], bool], read: Callable[[], Result], wait: str | None
    ) -> Result:
        """Read again and again until the result is decided or time is up; the last reading.

        Args:
            decided: whether waiting longer is pointless.
            read: one short transaction.
            wait: the caller's wish, unparsed; none reads once.
        """
        seconds = min(parse_duration(wait), self._longest) if wait is not None else 0.0
        deadline = time.monotonic() + seconds
        result = read()
        if seconds <= 0 or decided(result) or not self._places.acquire(blocking=False):
            return result
        try:
            while not decided(result) and (left := deadline - time.monotonic()) > 0:
                if self._closing.wait(min(POLL_INTERVAL, left)):
                    break
                result = read()
        finally:
            self._places.release()
        return result
