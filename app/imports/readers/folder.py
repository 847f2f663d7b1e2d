"""What lies in a folder that is imported as one corpus: no file is passed over unsaid."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from app.imports.errors import refuse
from app.imports.readers.plain_text import SUFFIXES as TEXT

Kind = Literal["parquet", "text"]

PARQUET = (".parquet", ".pq")
_CALLED: dict[Kind, str] = {"parquet": "Parquet", "text": "plain text"}
# Writers leave these beside a table's parts; they hold no rows.
_OF_WRITERS = frozenset({"_SUCCESS", "_metadata", "_common_metadata"})
_NAMED = 5


def files_of(folder: Path, kind: Kind | None) -> tuple[Kind, list[Path], list[str]]:
    """The files to read in a folder and the folders in it, in the order of their paths.

    What begins with a dot does not count. Links to texts are not followed, so that a folder from
    elsewhere cannot bring in what lies outside of it.

    Args:
        kind: the format to read, leaving other files out; None: all must be of one.

    Returns:
        The format; its files; relative paths of those left out.

    Raises:
        ImportRefusedError: there are none of the format; or, with none named, there are others
            too; or a column is in the name of a folder, where it would be lost.
    """
    found = _visible(folder)
    of: dict[Kind, list[Path]] = {
        "parquet": [path for path in found if path.suffix.lower() in PARQUET],
        "text": [p for p in found if p.suffix.lower() in TEXT and not p.is_symlink()],
    }
    named = kind
    kind = named or ("parquet" if of["parquet"] else "text")
    files = of[kind]
    others = [path for path in found if path not in set(files)]
    if not files:
        wanted = (
            f"no {_CALLED[kind]}" if named else "neither a saved dataset, nor Parquet, nor texts"
        )
        held = f"it holds {_names(folder, others)}; " if others else ""
        refuse(
            folder,
            f"holds {wanted}; {held}name a file, or a folder that Dataset.save_to_disk has written",
        )
    if others and named is None:
        refuse(
            folder,
            f"holds {len(files)} files of {_CALLED[kind]}, and others: {_names(folder, others)}; "
            f"take those out, or leave them out with --format {kind}",
        )
    if kind == "parquet":
        _refuse_columns_in_names(folder, files)
    return kind, files, [path.relative_to(folder).as_posix() for path in others]


def _visible(folder: Path) -> list[Path]:
    found = []
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if any(part.startswith(".") for part in parts) or path.name in _OF_WRITERS:
            continue
        if path.is_file() or path.is_symlink():
            found.append(path)
    return found


def _refuse_columns_in_names(folder: Path, files: Sequence[Path]) -> None:
    """`topic=news/part-0.parquet` holds a column that is in no file."""
    for path in files:
        for part in path.relative_to(folder).parts[:-1]:
            if "=" in part:
                refuse(
                    path,
                    f"the folder {part!r} holds a column in its name, which is not read; write the "
                    "rows with this column in one file, or import each folder by its name",
                )


def _names(folder: Path, files: Sequence[Path]) -> str:
    named = ", ".join(path.relative_to(folder).as_posix() for path in files[:_NAMED])
    more = len(files) - _NAMED
    return f"{named} and {more} more" if more > 0 else named
