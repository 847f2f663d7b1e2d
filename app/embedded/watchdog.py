"""Ends the children of a supervisor that was killed: `python -m app.embedded.watchdog <data_dir>`.

It holds the reading end of a pipe and a share of the data directory's lock. The pipe closes when
the supervisor is gone, however it went; what is still recorded then is ended in order. This works
on every Unix, and, unlike a parent-death signal, it takes grandchildren along.
"""

import signal
import sys
from pathlib import Path

from app.embedded.record import end_recorded


def main() -> None:
    """Wait for the supervisor's end, then end what it left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    end_recorded(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
