"""`featuredrift evaluations list|show|create|watch|cancel|retry`."""

from typing import Annotated

import typer

from app.cli.console import complain, print_facts, print_json, print_table, say
from app.cli.progress import conclude, counts_of, facts_of, follow, require_success
from app.cli.remote import (
    Exit,
    Json,
    Limit,
    Url,
    complete_models,
    complete_monitors,
    connected,
    first,
)
from app.client import Client
from app.core.waiting import parse_duration
from app.evaluations.schemas import EvaluationOut, State

Evaluation = Annotated[str, typer.Argument(help="An evaluation's id.")]
Watch = Annotated[bool, typer.Option("--watch", help="Show how far it is until it has ended.")]
Timeout = Annotated[
    str | None,
    typer.Option(help="Watch for so long at most: 90s, 30m, 2h.", show_default=False),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    group.command("list")(list_evaluations)
    group.command("show")(show)
    group.command("create")(create)
    group.command("watch")(watch)
    group.command("cancel")(cancel)
    group.command("retry")(retry)
    app.add_typer(group, name="evaluations", help="One monitor's question about one checkpoint.")


def list_evaluations(
    model: Annotated[
        str | None,
        typer.Option(help="Of this model.", autocompletion=complete_models, show_default=False),
    ] = None,
    checkpoint: Annotated[
        str | None, typer.Option(help="Of this checkpoint.", show_default=False)
    ] = None,
    monitor: Annotated[
        str | None,
        typer.Option(help="Of this monitor.", autocompletion=complete_monitors, show_default=False),
    ] = None,
    state: Annotated[State | None, typer.Option(help="In this state.", show_default=False)] = None,
    limit: Limit = 50,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """List evaluations."""
    with connected(url) as client:
        listed = client.evaluations.list(
            model=model, checkpoint=checkpoint, monitor=monitor, state=state
        )
        found = first(listed, limit)
    if as_json:
        print_json([evaluation.model_dump(mode="json") for evaluation in found])
        return
    rows = [
        (
            *(row.id, row.monitor, row.model, row.checkpoint, row.baseline, row.state),
            *(counts_of(row).get("drifted"), row.created_at),
        )
        for row in found
    ]
    columns = ("evaluation", "monitor", "model", "checkpoint", "baseline", "state", "drifted")
    print_table((*columns, "created"), rows)


def show(evaluation: Evaluation, url: Url = None, as_json: Json = False) -> None:
    """Show an evaluation."""
    with connected(url) as client:
        found = client.evaluations.get(evaluation)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        print_facts(facts_of(found))


def create(
    monitor: Annotated[
        str, typer.Argument(help="A monitor's name.", autocompletion=complete_monitors)
    ],
    checkpoint: Annotated[str, typer.Argument(help="A checkpoint of the monitor's model.")],
    watch_it: Watch = False,
    timeout: Timeout = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Evaluate a checkpoint with a monitor now; the same inputs have one evaluation, ever."""
    seconds = _seconds(timeout)
    with connected(url) as client:
        found = client.evaluations.create(monitor, checkpoint)
        if watch_it:
            found = follow(client, found.id, seconds)
    _tell(found, as_json, ended=watch_it)


def watch(
    evaluation: Annotated[
        str | None,
        typer.Argument(
            help="An evaluation's id; default: the newest that is open.", show_default=False
        ),
    ] = None,
    timeout: Timeout = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show how far an evaluation is, with rate and time left, until it has ended.

    Exit code: 0 if it has succeeded, 1 if it failed, was cancelled, or has not ended in time.
    Ctrl-C ends the watching, not the evaluation.
    """
    seconds = _seconds(timeout)
    with connected(url) as client:
        found = follow(client, evaluation or _newest_open(client), seconds)
    _tell(found, as_json, ended=True)


def cancel(evaluation: Evaluation, url: Url = None, as_json: Json = False) -> None:
    """Stop an open evaluation; its unfinished shards are not worked on any more."""
    with connected(url) as client:
        found = client.evaluations.cancel(evaluation)
    _tell(found, as_json, ended=False)


def retry(
    evaluation: Evaluation,
    watch_it: Watch = False,
    timeout: Timeout = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Work again on a failed or cancelled evaluation; finished snapshots are kept."""
    seconds = _seconds(timeout)
    with connected(url) as client:
        found = client.evaluations.retry(evaluation)
        if watch_it:
            found = follow(client, found.id, seconds)
    _tell(found, as_json, ended=watch_it)


def _newest_open(client: Client) -> str:
    states: tuple[State, ...] = ("running", "queued")
    for state in states:
        found = next(iter(client.evaluations.list(state=state, page_size=1)), None)
        if found is not None:
            return str(found.id)
    complain("no evaluation is open; name one (`featuredrift evaluations list` shows all)")
    raise typer.Exit(Exit.REFUSED)


def _seconds(timeout: str | None) -> float | None:
    return None if timeout is None else parse_duration(timeout)


def _tell(found: EvaluationOut, as_json: bool, *, ended: bool) -> None:
    if as_json:
        print_json(found.model_dump(mode="json"))
        if ended:
            require_success(found)
    elif ended:
        conclude(found)
    else:
        print_facts(facts_of(found))
        if found.state == "queued":
            say(f"`featuredrift evaluations watch {found.id}` shows how far it is")
