"""Waiting for what other processes do."""

import time
from typing import Any


def wait_for(condition: Any, timeout: float = 60) -> Any:
    """The first true result of a condition.

    Raises:
        TimeoutError: it stayed false.
    """
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise TimeoutError
