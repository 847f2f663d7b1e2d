"""Where lines for a person go: results to stdout, everything else to stderr."""

import errno
import io
import json
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.cells import cell_len
from rich.console import Console

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What a full disk answers."""


def write_what_can_be_written() -> None:
    """Where the terminal's encoding has no such character, its number stands in its place."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def no_room(error: OSError) -> str:
    """What to say of a full disk."""
    what = error.filename or "the output"
    return f"{what} cannot be written: {error.strerror}; make room, or write it elsewhere"


def say(line: str) -> None:
    """A remark on what is going on."""
    err.print(line, markup=False)


def complain(line: str) -> None:
    """What went wrong, and what to do."""
    err.print(f"error: {line}", markup=False, style="bold red")


def print_json(value: Any) -> None:
    """A result for a program: plain JSON, with no colour and no wrapping."""
    out.file.write(json_text(value) + "\n")
    out.file.flush()


def json_text(value: Any) -> str:
    """JSON that stdout's encoding can hold, whichever it is."""
    encoding = getattr(out.file, "encoding", None) or "utf-8"
    plain_ascii = not encoding.lower().replace("-", "").startswith("utf")
    return json.dumps(value, indent=2, ensure_ascii=plain_ascii)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Rows beneath each other, as wide as they need; nothing is cut, so that `grep` finds it."""
    texts = [[text_of(cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(columns, *texts, strict=True)]
    for number, row in enumerate([list(columns), *texts]):
        padded = [
            cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)
        ]
        line = "  ".join(padded).rstrip()
        out.print(line, markup=False, style="bold" if number == 0 else None)


def print_facts(facts: Mapping[str, Any]) -> None:
    """Names and values; what there is not is left out."""
    known = {name: text_of(value) for name, value in facts.items() if value not in (None, "", [])}
    width = max(map(len, known), default=0)
    for name, text in known.items():
        out.print(f"{name:{width}}  {text}", markup=False)


def text_of(value: Any) -> str:
    """A value for a person, on one line."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}Z"
    if isinstance(value, list | tuple | set):
        return ", ".join(text_of(item) for item in value)
    return plain(str(value))


def plain(text: str) -> str:
    """Text of somebody else's on one line: what would move the cursor or turn it is escaped."""
    return "".join(
        character
        if unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}
        else character.encode("unicode_escape", "surrogatepass").decode()
        for character in text
    )
