"""`featuredrift alerts list|show|ack`."""

from typing import Annotated, cast, get_args

import typer

from app.alerts.schemas import AlertOut, Severity, State
from app.cli.console import print_facts, print_json, print_table, say
from app.cli.remote import (
    By,
    Json,
    Limit,
    Note,
    Url,
    any_of,
    complete_models,
    complete_monitors,
    connected,
    first,
    who,
)

_STATES: tuple[str, ...] = get_args(State)
_OPEN: tuple[State, ...] = ("open", "acknowledged")
Alert = Annotated[str, typer.Argument(help="An alert's id.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    group.command("list")(list_alerts)
    group.command("show")(show)
    group.command("ack")(ack)
    app.add_typer(group, name="alerts", help="What is wrong now, and who looks after it.")


def list_alerts(
    model: Annotated[
        str | None,
        typer.Option(help="Of this model.", autocompletion=complete_models, show_default=False),
    ] = None,
    monitor: Annotated[
        str | None,
        typer.Option(help="Of this monitor.", autocompletion=complete_monitors, show_default=False),
    ] = None,
    state: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STATE",
            help=f"{', '.join(_STATES)}; may be repeated; default: the first two.",
            callback=any_of(_STATES),
            show_default=False,
        ),
    ] = None,
    severity: Annotated[
        Severity | None, typer.Option(help="page wakes somebody.", show_default=False)
    ] = None,
    limit: Limit = 50,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """List alerts; those that are resolved only if asked for."""
    with connected(url) as client:
        states = cast(list[State], state) if state else _OPEN
        listed = client.alerts.list(model=model, monitor=monitor, state=states, severity=severity)
        found = first(listed, limit)
    if as_json:
        print_json([alert.model_dump(mode="json") for alert in found])
        return
    rows = [
        (
            *(row.id, row.severity, row.state, row.monitor, f"{row.subject_kind} {row.subject}"),
            *(row.condition, row.opened_at, row.acknowledged_by),
        )
        for row in found
    ]
    columns = ("alert", "severity", "state", "monitor", "subject", "condition", "opened", "by")
    print_table(columns, rows)
    if not found and not state:
        say("nothing is open")


def show(alert: Alert, url: Url = None, as_json: Json = False) -> None:
    """Show an alert, and where to go on."""
    with connected(url) as client:
        found = client.alerts.get(alert)
    _tell(found, as_json)


def ack(
    alert: Alert, by: By = None, note: Note = None, url: Url = None, as_json: Json = False
) -> None:
    """Say who looks after it; it stays so while the condition lasts, and a worse one reopens it."""
    with connected(url) as client:
        found = client.alerts.acknowledge(alert, by=who(by), note=note)
    _tell(found, as_json)


def _tell(found: AlertOut, as_json: bool) -> None:
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    print_facts(
        {
            "alert": found.id,
            "monitor": f"{found.monitor} ({found.model})",
            "subject": f"{found.subject_kind} {found.subject}",
            "condition": found.condition,
            "severity": found.severity,
            "state": found.state,
            "detail": found.detail,
            "since": found.since_checkpoint,
            "occurrences": found.occurrences,
            "opened": found.opened_at,
            "acknowledged": found.acknowledged_at,
            "by": found.acknowledged_by,
            "note": found.note,
            "resolved": found.resolved_at,
            "evaluation": found.last_evaluation,
            "repair": found.repair,
            "runbook": found.links.get("runbook"),
        }
    )
