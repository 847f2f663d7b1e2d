"""What a file that cannot be imported says: where, what is wrong, and what to do."""

from pathlib import Path
from typing import Any, NoReturn

from app.core.errors import InvalidInputError


class ImportRefusedError(InvalidInputError):
    """A file from elsewhere does not hold what was expected of it."""

    code = "import_refused"


def refuse(place: str | Path, message: str, value: Any = None) -> NoReturn:
    """Stop the import.

    Args:
        place: the file, with line or row.
        message: what is wrong there, and what to do.
    """
    raise ImportRefusedError(_visible(f"{place}: {message}"), field=str(place), value=value)


def _visible(text: str) -> str:
    """Words of a stranger's file, with whatever would move a terminal's cursor escaped."""
    return "".join(
        character
        if character.isprintable()
        else character.encode("unicode_escape", "surrogatepass").decode()
        for character in text
    )


def size_of(path: Path) -> int:
    """Bytes of a file that must be there.

    Raises:
        ImportRefusedError: it is missing, no plain file, or not readable.
    """
    try:
        if path.is_dir():
            refuse(path, "is a folder; name a file in it")
        with path.open("rb"):
            return path.stat().st_size
    except OSError as error:
        refuse(path, f"cannot be read: {error.strerror or error}")
