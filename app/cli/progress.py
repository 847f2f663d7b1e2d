"""How far an evaluation is: a bar with rate and time left, or plain lines where nobody looks."""

from uuid import UUID

import typer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from app.cli.console import err, plain, print_facts, say
from app.cli.remote import Exit
from app.client import Client
from app.evaluations.schemas import EvaluationOut

OPEN = ("queued", "running")


class RateColumn(ProgressColumn):
    """Shards a minute, once it can be told."""

    def render(self, task: Task) -> Text:
        """The rate as it has been lately."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed * 60:.1f} shards/min")


def follow(client: Client, evaluation: UUID | str, timeout: float | None = None) -> EvaluationOut:
    """Show how far it is until it has ended; all of that goes to stderr.

    Raises:
        WaitTimeoutError: it has not ended in time.
        typer.Exit: interrupted; the evaluation goes on.
    """
    try:
        watched = client.evaluations.watch(evaluation, timeout=timeout)
        if not err.is_terminal:
            last = next(watched)
            _line(last)
            for last in watched:
                _line(last)
            return last
        columns = (
            TextColumn("{task.description}", markup=False),
            *(BarColumn(), MofNCompleteColumn(), RateColumn()),
            *(TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn()),
        )
        with Progress(*columns, console=err) as bar:
            last = next(watched)
            task = bar.add_task(_where(last), total=None)
            _advance(bar, task, last)
            for last in watched:
                _advance(bar, task, last)
        return last
    except KeyboardInterrupt:
        say(
            f"not watched any more; the evaluation goes on. `featuredrift evaluations watch "
            f"{evaluation}` looks again, `evaluations cancel` stops it"
        )
        raise typer.Exit(Exit.INTERRUPTED) from None


def conclude(found: EvaluationOut) -> None:
    """How it ended, in a few lines.

    Raises:
        typer.Exit: it has not succeeded.
    """
    print_facts(facts_of(found))
    require_success(found)


def require_success(found: EvaluationOut) -> None:
    """Let the exit code say how it ended.

    Raises:
        typer.Exit: it has not succeeded.
    """
    if found.state == "failed":
        say(f"`featuredrift evaluations retry {found.id}` works on it again, once mended")
    if found.state not in ("succeeded", *OPEN):
        raise typer.Exit(Exit.REFUSED)


def facts_of(found: EvaluationOut) -> dict[str, object]:
    """What a person asks of an evaluation first."""
    counts = counts_of(found)
    failed = [control.control for control in found.controls if control.passed is False]
    return {
        "evaluation": found.id,
        "monitor": found.monitor,
        "checkpoint": f"{found.model} {found.checkpoint}",
        "baseline": found.baseline,
        "previous": found.previous,
        "state": found.state,
        "step": found.step if found.state in OPEN else None,
        "shards": f"{found.progress.shards_done} of {found.progress.shards_total}",
        "verdicts": ", ".join(f"{number} {word}" for word, number in counts.items()),
        "failed controls": failed,
        "error": f"{found.error.detail} ({found.error.code})" if found.error else None,
        "created": found.created_at,
        "finished": found.finished_at,
    }


def counts_of(found: EvaluationOut) -> dict[str, int]:
    """Verdicts of the comparison with the baseline, where the summary has them."""
    comparisons = (found.summary or {}).get("comparisons")
    side = comparisons.get("baseline") if isinstance(comparisons, dict) else None
    counts = side.get("counts") if isinstance(side, dict) else None
    return dict(counts) if isinstance(counts, dict) else {}


def _advance(bar: Progress, task: TaskID, found: EvaluationOut) -> None:
    bar.update(
        task,
        description=_where(found),
        completed=found.progress.shards_done,
        total=found.progress.shards_total,
    )


def _where(found: EvaluationOut) -> str:
    step = f": {found.step}" if found.state == "running" else ""
    return plain(f"{found.model} {found.checkpoint} {found.state}{step}")


def _line(found: EvaluationOut) -> None:
    done, total = found.progress.shards_done, found.progress.shards_total
    say(f"{_where(found)}, {done} of {total} shards")
