"""Which reader a file or folder needs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from app.imports.errors import refuse
from app.imports.readers import plain_text
from app.imports.readers.columnar import Parquet, SavedDataset, is_saved_dataset
from app.imports.readers.folder import PARQUET, files_of
from app.imports.readers.jsonl import JsonLines
from app.imports.readers.plain_text import Per, TextFile, TextFolder
from app.imports.readers.reader import Reader
from app.imports.readers.tables import Csv

Format = Literal["jsonl", "text", "csv", "tsv", "parquet", "dataset"]
FORMATS: tuple[Format, ...] = get_args(Format)

_SUFFIXES: dict[str, Format] = {
    **dict.fromkeys((".jsonl", ".ndjson", ".jsonlines"), "jsonl"),
    **dict.fromkeys(plain_text.SUFFIXES, "text"),
    **dict.fromkeys(PARQUET, "parquet"),
    ".csv": "csv",
    ".tsv": "tsv",
}
_HINTS = {
    ".json": "write one object on each line (`jq -c '.[]' file.json > file.jsonl`)",
    ".gz": "unpack it first (`gunzip`)",
    ".zip": "unpack it first (`unzip`)",
    ".xlsx": "save it as CSV in UTF-8",
    ".pkl": "a pickle can run code and is never read; save it as Parquet or JSON Lines",
    ".arrow": "name the folder that Dataset.save_to_disk has written, not a file in it",
}


def open_rows(
    path: Path,
    *,
    kind: Format | None = None,
    per: Per = "line",
    split: str | None = None,
    delimiter: str | None = None,
    columns: Sequence[str] | None = None,
) -> Reader:
    """A reader of the rows of a file or folder.

    Args:
        kind: the format; default: what the name's ending says.
        per: what a document of a plain text is; in a folder, each file is one.
        split: of a saved dataset.
        delimiter: of a CSV file.
        columns: those that are wanted, where a format can leave others unread.

    Raises:
        ImportRefusedError: it is not there, or its format is not known; or a folder holds files of
            several.
    """
    if not path.exists():
        refuse(path, "there is no such file or folder")
    files, left_out = [path], list[str]()
    if kind is None:
        kind = _kind(path)
    if path.is_dir() and (kind is None or kind == "parquet" or kind == "text"):
        kind, files, left_out = files_of(path, kind)
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        refuse(path, f"{delimiter!r} cannot separate fields; give one character, such as ';'")
    if split is not None and kind != "dataset":
        refuse(path, f"only a saved dataset has splits, and this is read as {kind}")
    reader: Reader
    match kind:
        case "jsonl":
            return JsonLines(path)
        case "text":
            reader = TextFolder(path, files) if path.is_dir() else TextFile(path, per)
        case "csv" | "tsv":
            return Csv(path, delimiter or ("\t" if kind == "tsv" else ","))
        case "parquet":
            reader = Parquet(files, columns)
        case "dataset":
            if not path.is_dir() or not is_saved_dataset(path):
                refuse(path, "is no folder that Dataset.save_to_disk has written")
            return SavedDataset(path, split, columns)
    reader.left_out = left_out
    return reader


def _kind(path: Path) -> Format | None:
    """By its name, or by its marks; None: a folder whose files must be looked at."""
    if path.is_dir():
        return "dataset" if is_saved_dataset(path) else None
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        hint = _HINTS.get(suffix, "say by --format what it is")
        refuse(path, f"the ending {suffix or '(none)'} names no known format; {hint}")
    return _SUFFIXES[suffix]
