"""JSON Lines: one object on each line."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from app.imports.errors import refuse, size_of
from app.imports.readers.reader import Lines, Reader


class JsonLines(Reader):
    """A file with one JSON object on each line; blank lines are passed over."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.total = size_of(path)
        self._lines = Lines(path)

    def place(self, number: int) -> str:
        """File and line."""
        return self._lines.place(number)

    def rows(self) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Line numbers and objects."""
        for number, line in self._lines:
            self.done = self._lines.done
            if line.strip():
                yield number, parse_object(self.place(number), line)


def parse_object(place: str, text: str) -> dict[str, Any]:
    """A JSON object, strictly: no key twice, no NaN.

    Raises:
        ImportRefusedError: naming the place.
    """
    value = parse_json(place, text)
    if isinstance(value, list):
        refuse(place, "is a JSON list; write one object on each line (`jq -c '.[]'` does)")
    if not isinstance(value, dict):
        refuse(place, f'is {type(value).__name__}, not a JSON object such as {{"text": …}}')
    return value


def read_json(path: Path, most: int, instead: str) -> Any:
    """The value of a JSON file, a byte order mark left out.

    Args:
        most: bytes that it may have.
        instead: what to do where it has more.

    Raises:
        ImportRefusedError: it is missing, too large, no UTF-8 or no JSON.
    """
    if size_of(path) > most:
        refuse(path, f"has over {most >> 20} MiB; {instead}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        refuse(path, f"byte {error.start + 1} is not UTF-8; save it as UTF-8")
    return parse_json(str(path), text)


def parse_json(place: str, text: str) -> Any:
    """A JSON value, strictly.

    Raises:
        ImportRefusedError: naming the place.
    """

    def constant(name: str) -> NoReturn:
        refuse(place, f"{name} is not JSON; leave the value out")

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for key, item in items:
            if key in value:
                refuse(place, f"the key {key!r} stands there twice; keep one")
            value[key] = item
        return value

    try:
        return json.loads(text, parse_constant=constant, object_pairs_hook=pairs)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, " if error.lineno > 1 else ""
        refuse(place, f"is not JSON at {where}character {error.colno}: {error.msg}")
    except RecursionError:
        refuse(place, "is nested too deeply")
    except ValueError as error:  # a number of more digits than Python reads
        refuse(place, f"is not JSON: {error}")
