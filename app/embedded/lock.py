"""One supervisor for one data directory."""

import fcntl
import json
import os
import time
from pathlib import Path

import psutil

from app.embedded.errors import EmbeddedError

_WAIT_FOR_CLEANUP = 60.0


class DataDirectoryLock:
    """An advisory lock, free again the moment its last holder is gone.

    The watchdog shares it, so that nobody starts while a killed run is still being cleaned up.
    """

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "lock"
        self._fd: int | None = None

    @property
    def fd(self) -> int:
        """The open descriptor, to be shared with the watchdog."""
        if self._fd is None:
            raise RuntimeError("the lock is not held")
        return self._fd

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            EmbeddedError: another supervisor holds it; its process id is in the message.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + _WAIT_FOR_CLEANUP
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                owner = self._owner()
                # A dead owner means that its watchdog is ending the children; that is bounded.
                if owner is None:
                    if time.monotonic() < deadline:
                        time.sleep(0.1)
                        continue
                    os.close(fd)
                    raise EmbeddedError(
                        f"{self._path.parent} is still locked by a run that was killed; "
                        f"see which process holds {self._path}"
                    ) from None
                os.close(fd)
                raise EmbeddedError(
                    f"{self._path.parent} is in use by the process {owner}; stop it (Ctrl-C, or "
                    f"`kill {owner}`), or give another --data-dir"
                ) from None
        os.ftruncate(fd, 0)
        own = {"pid": os.getpid(), "created": psutil.Process().create_time()}
        os.pwrite(fd, json.dumps(own).encode(), 0)
        self._fd = fd

    def release(self) -> None:
        """Give the lock back; the file stays, since removing it would let two hold it."""
        if self._fd is not None:
            os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = None

    def _owner(self) -> int | None:
        """The supervisor that took the lock, unless it is gone."""
        try:
            owner = json.loads(self._path.read_text())
            alive = psutil.Process(owner["pid"]).create_time() == owner["created"]
        except (ValueError, KeyError, psutil.NoSuchProcess):
            return None
        return int(owner["pid"]) if alive else None
