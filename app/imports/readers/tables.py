"""CSV: a header, then one document a record."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from app.imports.errors import refuse, size_of
from app.imports.readers.reader import MAX_LINE_BYTES, Lines, Reader


class Csv(Reader):
    """A file with a header; quoted fields may hold separators and line ends."""

    def __init__(self, path: Path, delimiter: str) -> None:
        super().__init__()
        self.total = size_of(path)
        self._delimiter = delimiter
        self._lines = Lines(path)

    def place(self, number: int) -> str:
        """File and the line that the record begins on."""
        return self._lines.place(number)

    def rows(self) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """First lines and records; an empty field is no value."""
        header: list[str] = []
        for number, record in self._records():
            if not any(cell.strip() for cell in record):
                continue
            if not header:
                header = self._header(number, record)
                continue
            if len(record) != len(header):
                refuse(
                    self.place(number),
                    f"has {len(record)} fields, but the header has {len(header)} "
                    f"({', '.join(header)}); quote fields that hold {self._delimiter!r}",
                )
            yield (
                number,
                {name: cell if cell else None for name, cell in zip(header, record, strict=True)},
            )

    def _header(self, number: int, record: list[str]) -> list[str]:
        header = [name.strip() for name in record]
        for name in header:
            if not name or header.count(name) > 1:
                refuse(
                    self.place(number),
                    f"the header has {'no name for a column' if not name else f'{name!r} twice'}; "
                    "the first line must name each column once",
                )
        return header

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        def texts() -> Iterator[str]:
            for _, line in self._lines:
                self.done = self._lines.done
                yield line

        limit = csv.field_size_limit(MAX_LINE_BYTES)
        try:
            reader = csv.reader(texts(), delimiter=self._delimiter, strict=True)
            first = 1
            while True:
                try:
                    record = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    refuse(self.place(first), f"a record that begins here {_said(error)}")
                yield first, record
                first = reader.line_num + 1
        finally:
            csv.field_size_limit(limit)


def _said(error: csv.Error) -> str:
    text = str(error)
    if "unexpected end" in text:
        return "has a quote that is never closed; close it, or double quotes inside fields"
    if "field larger" in text:
        return f"has a field of more than {MAX_LINE_BYTES >> 20} MiB; is a quote left open?"
    if "new-line" in text:
        return "has a bare carriage return; save the file with LF or CRLF line ends"
    return f"is not CSV: {text}; double quotes inside quoted fields"
