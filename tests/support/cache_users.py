"""What other processes do with a cache's folder; imports nothing else, as each starts anew."""

import os
import time
from multiprocessing.connection import Connection
from pathlib import Path

from app.core.file_cache import GRACE, FileCache

SIZE = 1000
"""Bytes of every file."""


def put(path: Path) -> None:
    """Fetch a file."""
    path.write_bytes(b"x" * SIZE)


def age(path: Path, seconds: float) -> None:
    """Make it that long since the file was handed out."""
    then = time.time() - seconds
    os.utime(path, (then, then))


def write_slowly(folder: Path, connection: Connection) -> None:
    """Write a file that is not finished before word comes."""

    def fetch(path: Path) -> None:
        put(path)
        age(path, GRACE * 10)
        connection.send(path.name)
        connection.recv()

    FileCache(folder, limit=3 * SIZE).get("slow", fetch)
    connection.send("done")


def hammer(folder: Path, seed: int) -> None:
    """Take files of its own, which the others remove, and a shared one, which is always in use."""
    cache = FileCache(folder, limit=2 * SIZE)
    for turn in range(100):
        age(cache.get(f"shared/{seed}-{turn % 7}", put), GRACE * 10)
        if cache.get("shared/f", put).stat().st_size != SIZE:
            raise AssertionError("a file that was just handed out is not whole")
