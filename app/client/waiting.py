"""Pauses, in both worlds, and how long is left."""

import time

import anyio


def pause(seconds: float) -> None:
    """Wait."""
    time.sleep(seconds)


async def async_pause(seconds: float) -> None:
    """Wait, and let others go on."""
    await anyio.sleep(seconds)


class Deadline:
    """Time that is left.

    Args:
        seconds: from now; None: for ever.
    """

    def __init__(self, seconds: float | None) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds; never below 0."""
        return float("inf") if self._end is None else max(0.0, self._end - time.monotonic())
