"""What all readers of rows have in common."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from app.imports.errors import refuse

MAX_LINE_BYTES = 32 << 20
"""A longer line, or text, is no document of a probe corpus."""

_MARKS = {
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "a zip archive",
    b"PAR1": "Parquet",
}
_BOM = b"\xef\xbb\xbf"


class Reader(ABC):
    """Rows of one source, from the first to the last.

    Attributes:
        total: the size of the work, in the unit of `done`.
        done: how much of it is done; grows while `rows` is consumed.
        classes: column → names of its classes, where the source says that numbers stand for them.
        left_out: files of a folder that are of other formats, and not read.
    """

    total: int = 0
    done: int = 0

    def __init__(self) -> None:
        self.classes: dict[str, list[str]] = {}
        self.left_out: list[str] = []

    @abstractmethod
    def rows(self) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Number and columns of each row.

        Raises:
            ImportRefusedError: naming file and line.
        """

    @abstractmethod
    def place(self, number: int) -> str:
        """Where the row of this number stands, for a person."""


class Lines:
    """Decoded lines of a UTF-8 file, a byte order mark left out."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.done = 0

    def place(self, number: int) -> str:
        """A line's place."""
        return f"{self.path} line {number}"

    def __iter__(self) -> Iterator[tuple[int, str]]:
        """Number from 1, and the line with its end."""
        with self.path.open("rb") as file:
            number = self.done = 0
            while line := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                size = len(line)
                if number == 1:
                    line = self._first(line)
                if len(line) > MAX_LINE_BYTES:
                    refuse(
                        self.place(number),
                        f"has more than {MAX_LINE_BYTES >> 20} MiB; split it into documents",
                    )
                self.done += size
                yield number, self._decode(number, line)

    def _first(self, line: bytes) -> bytes:
        for mark, name in _MARKS.items():
            if line.startswith(mark):
                refuse(
                    self.path,
                    f"is {name}, not UTF-8 text; "
                    + ("save it as UTF-8" if name == "UTF-16" else "unpack it, or name its format"),
                )
        return line.removeprefix(_BOM)

    def _decode(self, number: int, line: bytes) -> str:
        try:
            return line.decode()
        except UnicodeDecodeError as error:
            refuse(
                self.place(number),
                f"byte {error.start + 1} (0x{line[error.start]:02x}) is not UTF-8; save the file "
                "as UTF-8, such as with `iconv -f latin1 -t utf-8`",
            )
