"""`featuredrift repairs list|show|accept|reject`."""

from typing import Annotated

import typer

from app.cli.console import out, print_facts, print_json, print_table, say, text_of
from app.cli.remote import (
    By,
    Json,
    Limit,
    Note,
    Url,
    complete_monitors,
    connected,
    first,
    who,
)
from app.repairs.schemas import RepairSummary, State

Repair = Annotated[str, typer.Argument(help="A repair's id.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    group.command("list")(list_repairs)
    group.command("show")(show)
    group.command("accept")(accept)
    group.command("reject")(reject)
    app.add_typer(group, name="repairs", help="Proposals of what to watch from now on.")


def list_repairs(
    monitor: Annotated[
        str | None,
        typer.Option(help="Of this monitor.", autocompletion=complete_monitors, show_default=False),
    ] = None,
    evaluation: Annotated[
        str | None, typer.Option(help="Of this evaluation.", show_default=False)
    ] = None,
    state: Annotated[State | None, typer.Option(help="In this state.", show_default=False)] = None,
    limit: Limit = 50,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """List repairs."""
    with connected(url) as client:
        listed = client.repairs.list(monitor=monitor, evaluation=evaluation, state=state)
        found = first(listed, limit)
    if as_json:
        print_json([repair.model_dump(mode="json") for repair in found])
        return
    rows = [
        (row.id, row.state, row.monitor, row.checkpoint, row.comparison, _changed(row))
        for row in found
    ]
    print_table(("repair", "state", "monitor", "checkpoint", "comparison", "changes"), rows)


def show(repair: Repair, url: Url = None, as_json: Json = False) -> None:
    """Show a repair with its reasons; --json holds definitions and evidence."""
    with connected(url) as client:
        found = client.repairs.get(repair)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    print_facts(_facts(found))
    for change in found.changes:
        line = f"  {change.feature} ({change.diagnosis}): {change.reason}"
        out.print(text_of(line), markup=False)
    if found.state == "proposed":
        say(
            f"`featuredrift repairs accept {found.id}` publishes it, `repairs reject` turns it down"
        )


def accept(
    repair: Repair, by: By = None, note: Note = None, url: Url = None, as_json: Json = False
) -> None:
    """Publish the proposed version; no monitor watches it before it is changed to do so."""
    with connected(url) as client:
        found = client.repairs.accept(repair, by=who(by), note=note)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    print_facts(_facts(found))
    if found.published is not None:
        say(
            f"no monitor watches it yet: change the monitor to {found.published.name} version "
            f"{found.published.version}, with checkpoint {text_of(found.checkpoint)} as baseline"
        )


def reject(
    repair: Repair, by: By = None, note: Note = None, url: Url = None, as_json: Json = False
) -> None:
    """Turn a proposal down; it stays as a record."""
    with connected(url) as client:
        found = client.repairs.reject(repair, by=who(by), note=note)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        print_facts(_facts(found))


def _changed(repair: RepairSummary) -> str:
    return ", ".join(f"{change.feature} ({change.diagnosis})" for change in repair.changed)


def _facts(found: RepairSummary) -> dict[str, object]:
    base, published = found.base, found.published
    return {
        "repair": found.id,
        "state": found.state,
        "monitor": f"{found.monitor} ({found.model} {found.checkpoint})",
        "comparison": found.comparison,
        "evaluation": found.evaluation,
        "base": f"{base.name} version {base.version}" if base else None,
        "changes": _changed(found),
        "dictionaries": [dictionary.name for dictionary in found.dictionaries],
        "decided": found.decided_at,
        "by": found.decided_by,
        "note": found.note,
        "published": f"{published.name} version {published.version}" if published else None,
    }
