"""Files that a check leaves for other programs: whole, or not there."""

import os
import tempfile
from pathlib import Path

from app.cli.check.exits import CheckError


def prepare(path: Path | None, option: str) -> None:
    """See that the file can be written, and remove what an earlier check left there.

    A job that is killed while it waits must not leave last week's answer to be published.

    Raises:
        CheckError: it cannot be written, naming the option.
    """
    if path is None or _is_special(path):
        return
    if path.is_dir():
        raise CheckError(f"{option} {path} is a folder; name a file in it")
    folder = path.parent
    if not folder.is_dir():
        raise CheckError(f"{option} {path}: there is no folder {folder}; make it first")
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=f".{path.name[:100]}."):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise CheckError(f"{option} {path} cannot be written: {error.strerror}") from error


def write(path: Path | None, option: str, data: bytes) -> None:
    """Put the whole file in place at once.

    Raises:
        CheckError: it cannot be written.
    """
    if path is None:
        return
    try:
        if _is_special(path):
            path.write_bytes(data)
            return
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            # A temporary file is for its owner alone; a report is for whoever may read the folder.
            mask = os.umask(0)
            os.umask(mask)
            Path(name).chmod(0o666 & ~mask)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise CheckError(f"{option} {path} cannot be written: {error.strerror}") from error


def _is_special(path: Path) -> bool:
    """A pipe or a terminal, such as /dev/stdout: neither replaced nor removed."""
    return path.exists() and not path.is_file() and not path.is_dir()
