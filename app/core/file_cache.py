"""A folder of downloaded files that several processes share, kept below a size."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from app.core.ids import new_id

GRACE = 300.0
"""Seconds within which whoever was handed a file opens it; so long it is never removed."""

_LOCK = ".lock"


class _Entry(NamedTuple):
    used: float
    size: int
    path: Path


class FileCache:
    """Files by relative path; the least recently used go when all together are too large.

    A file's modification time is when it was last handed out. Handing out takes the folder's lock
    shared, removing takes it alone: nothing is removed between the look at its time and the
    removal. A file that is being written is locked by its writer, and that lock ends with the
    process: what a killed process left half written is told from what is still growing.

    Args:
        folder: made when it is needed. It must be on a local disk, for the locks.
        limit: bytes; 0 for no limit. It is exceeded by what was handed out within `GRACE`, and by
            one file for each process that is downloading.
    """

    def __init__(self, folder: Path, limit: int = 0) -> None:
        self.folder = folder
        self._limit = limit

    def get(self, name: str, fetch: Callable[[Path], None]) -> Path:
        """The file of that name, fetched if it is not here.

        It stays for `GRACE` at least. What is open or mapped then may be read for as long as it is;
        whoever opens it later must be ready to get it again.

        Args:
            fetch: writes the content to the given path, which exists and is empty.

        Raises:
            OSError: the folder is full or unwritable; and whatever `fetch` raises.
        """
        target = self.folder / name
        if self._touch(target):
            return target
        temporary = target.with_name(f".{target.name}.{new_id().hex}.tmp")
        with self._locked(fcntl.LOCK_SH):
            # Under the lock, or the folder could be removed as an empty one before the file is in.
            target.parent.mkdir(parents=True, exist_ok=True)
            writing = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
            fcntl.flock(writing, fcntl.LOCK_EX)
        try:
            fetch(temporary)
            os.utime(temporary)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
            os.close(writing)
        if self._limit:
            self._shrink()
        return target

    def _touch(self, target: Path) -> bool:
        if not target.is_file():
            return False
        with self._locked(fcntl.LOCK_SH):
            try:
                os.utime(target)
            except FileNotFoundError:
                return False
        return True

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.folder / _LOCK, os.O_CREAT | os.O_RDWR, 0o666)
        try:
            fcntl.flock(descriptor, how)
            yield
        finally:
            os.close(descriptor)

    def _shrink(self) -> None:
        with self._locked(fcntl.LOCK_EX):
            latest = time.time() - GRACE
            entries = sorted(self._entries())
            excess = sum(entry.size for entry in entries) - self._limit
            for entry in entries:
                if excess <= 0 or entry.used > latest:
                    return
                if entry.path.name.endswith(".tmp") and _is_written(entry.path):
                    continue
                entry.path.unlink(missing_ok=True)
                excess -= entry.size
                self._remove_empty(entry.path.parent)

    def _entries(self) -> Iterator[_Entry]:
        for folder, _, names in os.walk(self.folder):
            for name in names:
                path = Path(folder, name)
                try:
                    found = path.stat()
                except FileNotFoundError:
                    # Renamed or deleted meanwhile, which takes no lock.
                    continue
                if name != _LOCK:
                    yield _Entry(found.st_mtime, found.st_size, path)

    def _remove_empty(self, folder: Path) -> None:
        while folder != self.folder:
            try:
                folder.rmdir()
            except OSError:
                return
            folder = folder.parent


def _is_written(path: Path) -> bool:
    """Whether a living process holds the file's lock."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
