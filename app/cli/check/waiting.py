"""How far the evaluations are that the gate waits for: a bar, or plain lines where nobody looks."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from app.cli.check.terminal import harmless, say
from app.cli.console import err
from app.cli.progress import OPEN, RateColumn
from app.evaluations.schemas import EvaluationOut

Tell = Callable[[Sequence[EvaluationOut]], None]


@contextmanager
def shown_progress(model: str, checkpoint: str) -> Iterator[Tell]:
    """Show what is told, on stderr; a bar is gone when the answer is there."""
    if not err.is_terminal:
        yield _lines()
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        *(BarColumn(), MofNCompleteColumn(), RateColumn()),
        *(TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn()),
    )
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task(harmless(f"{model} {checkpoint}"), total=None)

        def tell(found: Sequence[EvaluationOut]) -> None:
            steps = dict.fromkeys(_step(one) for one in found if one.state in OPEN)
            bar.update(
                task,
                description=harmless(f"{model} {checkpoint} {', '.join(steps)}"),
                completed=sum(one.progress.shards_done for one in found),
                total=sum(one.progress.shards_total for one in found) or None,
            )

        yield tell


def _lines() -> Tell:
    """A line for each change, so that a job's log tells how far it was."""
    told: dict[object, str] = {}

    def tell(found: Sequence[EvaluationOut]) -> None:
        for one in found:
            done, total = one.progress.shards_done, one.progress.shards_total
            line = f"{one.monitor} {_step(one)}, {done} of {total} shards"
            if told.get(one.id) != line:
                told[one.id] = line
                say(line)

    return tell


def _step(one: EvaluationOut) -> str:
    return f"{one.state}: {one.step}" if one.state == "running" and one.step else one.state
