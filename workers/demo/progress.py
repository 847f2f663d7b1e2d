"""Progress bars with rate and time left; where nobody watches, a line for what is done."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text


class _RateColumn(ProgressColumn):
    """Units a second, while they are counted."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        unit = task.fields["unit"]
        return Text(f"{speed:,.0f} {unit}/s" if speed and unit else "", style="cyan")


class Steps:
    """The demo's bars, one below the other."""

    def __init__(self, console: Console) -> None:
        self._live = console.is_terminal
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description:<44}"),
            BarColumn(bar_width=24),
            _RateColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(compact=True),
            console=console,
            disable=not self._live,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    @contextmanager
    def step(
        self, description: str, total: int | None = None, unit: str = ""
    ) -> Iterator[Callable[[int], None]]:
        """A bar for one piece of work; yields what to call with the units just finished.

        Args:
            description: what is being done, for people.
            total: units in all; None when they cannot be counted.
            unit: what is counted; empty shows no rate.
        """
        task = self._progress.add_task(description, total=total, unit=unit)
        started, done = time.monotonic(), 0

        def advance(units: int) -> None:
            nonlocal done
            done += units
            self._progress.advance(task, units)

        yield advance
        if not self._live:
            seconds = time.monotonic() - started
            rate = f", {done / seconds:,.0f} {unit}/s" if done and seconds else ""
            self._console.print(f"{description}: {seconds:.0f} s{rate}", highlight=False)
        self._progress.update(task, total=total or 1, completed=total or 1)
