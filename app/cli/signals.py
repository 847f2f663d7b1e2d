"""Ending on SIGINT, SIGTERM and SIGHUP.

Handlers only set plain flags: the lock of an Event may be held by the very thread that a handler
interrupts.
"""

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, TimeoutError
from contextlib import contextmanager
from threading import Event
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def on_stop_signal(act: Callable[[int], None]) -> Iterator[None]:
    """Call `act(n)` at the n-th stop signal, for the length of a block."""
    seen = 0

    def handle(_number: int, _frame: FrameType | None) -> None:
        nonlocal seen
        seen += 1
        act(seen)

    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_until_signalled(work: Callable[[Event], None]) -> None:
    """Run `work(stop)` in a thread; set `stop` at the first stop signal; raise what it raises."""
    signalled = False

    def note(_count: int) -> None:
        nonlocal signalled
        signalled = True

    stop = Event()
    with on_stop_signal(note), ThreadPoolExecutor(max_workers=1) as pool:
        future = pool.submit(work, stop)
        while not future.done():
            if signalled:
                stop.set()
            try:
                future.result(timeout=0.1)
            except TimeoutError:
                if future.done():
                    raise
