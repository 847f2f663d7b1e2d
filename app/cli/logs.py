"""Following the children's logs on the terminal."""

import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from app.cli.console import say

_POLL = 0.2


class LogFollower:
    """Prints what is appended to any `*.log` of a folder, each line with its file's name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[Path, int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="logs", daemon=True)

    def __enter__(self) -> Self:
        for path in self._folder.glob("*.log"):
            self._read[path] = path.stat().st_size
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._stop.wait(_POLL):
            self._print_new()
        self._print_new()

    def _print_new(self) -> None:
        for path in sorted(self._folder.glob("*.log")):
            size, position = path.stat().st_size, self._read.get(path, 0)
            if size < position:  # rotated
                position = 0
            with path.open("rb") as file:
                file.seek(position)
                data = file.read(size - position)
            whole = data[: data.rfind(b"\n") + 1]
            self._read[path] = position + len(whole)
            for line in whole.decode(errors="replace").splitlines():
                say(f"{path.stem:>10} | {line}")
