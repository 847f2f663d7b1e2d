"""What can go wrong before or while the embedded processes run, told in one line."""

from collections.abc import Iterator
from contextlib import contextmanager


class EmbeddedError(Exception):
    """The stack cannot start or cannot go on; the message says why and what to do."""


class InterruptedStartError(EmbeddedError):
    """Someone asked to stop while the stack was still starting."""


@contextmanager
def told_of_folders() -> Iterator[None]:
    """A file or folder that cannot be made or written is told by its name.

    Raises:
        EmbeddedError: the disk is full, the rights are missing, a file is where a folder must be.
    """
    try:
        yield
    except OSError as error:
        if error.filename is None:
            raise
        raise EmbeddedError(
            f"{error.filename} cannot be used: {error.strerror or error}. Look at its rights and "
            "at the space on its disk, or name others: --data-dir or FEATUREDRIFT_DATA_DIR for "
            "all data, FEATUREDRIFT_MODEL_ROOTS for models."
        ) from error
