"""Plain text: a document is a line, a paragraph, or a whole file."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from app.imports.errors import refuse, size_of
from app.imports.readers.reader import MAX_LINE_BYTES, Lines, Reader

Per = Literal["line", "paragraph", "file"]
SUFFIXES = (".txt", ".text", ".md")


class TextFile(Reader):
    """One file; blank lines are passed over, or divide paragraphs."""

    def __init__(self, path: Path, per: Per) -> None:
        super().__init__()
        self.total = size_of(path)
        self._per = per
        self._lines = Lines(path)

    def place(self, number: int) -> str:
        """File and first line."""
        return self._lines.place(number)

    def rows(self) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """The number of a document's first line, and its text without the last line's end."""
        first, piece, size = 0, list[str](), 0
        for number, line in self._lines:
            self.done = self._lines.done
            blank = not line.strip()
            if piece and (self._per == "line" or (self._per == "paragraph" and blank)):
                yield first, {"text": _joined(piece)}
                piece, size = [], 0
            if blank and (self._per != "file" or not piece):
                continue
            first = first if piece else number
            piece.append(line)
            size += len(line)
            if size > MAX_LINE_BYTES:
                refuse(
                    self.place(first),
                    f"a document of more than {MAX_LINE_BYTES >> 20} MiB begins here; divide it",
                )
        if piece:
            yield first, {"text": _joined(piece)}


class TextFolder(Reader):
    """Text files of a folder and the folders in it: each is a document, named by its path."""

    def __init__(self, folder: Path, files: Sequence[Path]) -> None:
        super().__init__()
        self._folder = folder
        self._files = list(files)
        self.total = len(self._files)

    def place(self, number: int) -> str:
        """The file."""
        return str(self._files[number - 1])

    def rows(self) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """The file's position, and its text under its relative path as id."""
        for number, path in enumerate(self._files, start=1):
            self.done = number
            found = list(TextFile(path, "file").rows())
            if not found:
                refuse(path, "holds no text; take it out of the folder")
            name = path.relative_to(self._folder).as_posix()
            yield number, {"id": name, "text": found[0][1]["text"]}


def _joined(lines: list[str]) -> str:
    return "".join(lines).rstrip("\r\n")
