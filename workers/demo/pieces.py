"""Pieces: what the demo builds once and finds again.

A piece is a folder named after its key. It is written under another name and renamed when complete,
so a folder that exists is whole, whatever interrupted an earlier build.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_PARTIAL = ".partial-"


def piece_path(folder: Path, name: str, key: str) -> Path:
    """Where the piece lies, built or not."""
    return folder / f"{name}-{key[:12]}"


def build_piece(folder: Path, name: str, key: str, build: Callable[[Path], None]) -> Path:
    """The piece's folder; `build` fills it if it does not exist yet.

    Args:
        folder: the parent of all pieces; must exist and be locked (`building`).
        name: the piece's name, for people.
        key: digest of all that determines the content.
        build: gets an empty folder to fill; what it raises leaves no piece behind.
    """
    target = piece_path(folder, name, key)
    if target.is_dir():
        return target
    partial = folder / f"{_PARTIAL}{target.name}"
    partial.mkdir()
    try:
        build(partial)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    partial.rename(target)
    return target


@contextmanager
def building(folder: Path) -> Iterator[None]:
    """Hold the folder for one build at a time; clear what an interrupted build left."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        for leftover in folder.glob(f"{_PARTIAL}*"):
            shutil.rmtree(leftover)
        yield
    finally:
        os.close(descriptor)
