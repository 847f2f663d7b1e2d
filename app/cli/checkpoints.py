"""`featuredrift checkpoints list|show|register|benign|alias`."""

from typing import Annotated

import typer

from app.cli.console import complain, print_facts, print_json, print_table, say, text_of
from app.cli.models import Model
from app.cli.progress import follow, require_success
from app.cli.remote import (
    By,
    Exit,
    Json,
    Limit,
    Note,
    Url,
    complete_checkpoints,
    connected,
    first,
    who,
)
from app.cli.sources import absolute
from app.client import NotFoundError
from app.registry.schemas.models import CheckpointOut

Checkpoint = Annotated[
    str, typer.Argument(help="A checkpoint's name.", autocompletion=complete_checkpoints)
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    group.command("list")(list_checkpoints)
    group.command("show")(show)
    group.command("register")(register_checkpoint)
    group.command("benign")(benign)
    group.command("alias")(alias)
    app.add_typer(group, name="checkpoints", help="Checkpoints of a model, and their aliases.")


def list_checkpoints(
    model: Model, limit: Limit = 50, url: Url = None, as_json: Json = False
) -> None:
    """List the checkpoints of a model."""
    with connected(url) as client:
        found = first(client.checkpoints.list(model), limit)
        aliases = list(client.aliases.list(model))
    if as_json:
        print_json([checkpoint.model_dump(mode="json") for checkpoint in found])
        return
    pointing: dict[str, list[str]] = {}
    for each in aliases:
        pointing.setdefault(each.checkpoint, []).append(each.name)
    rows = [
        (
            *(row.name, row.created_at, row.parent, pointing.get(row.name, [])),
            *("benign" if row.benign else "", len(row.evaluations), row.source),
        )
        for row in found
    ]
    columns = ("checkpoint", "registered", "parent", "aliases", "mark", "evaluations", "source")
    print_table(columns, rows)
    if not found:
        say("none yet; `featuredrift checkpoints register MODEL NAME SOURCE` adds one")


def show(model: Model, checkpoint: Checkpoint, url: Url = None, as_json: Json = False) -> None:
    """Show a checkpoint, and what the gate says of it now."""
    with connected(url) as client:
        found = client.checkpoints.get(model, checkpoint)
        gate = client.checkpoints.gate(model, checkpoint)
    if as_json:
        print_json({**found.model_dump(mode="json"), "gate": gate.model_dump(mode="json")["gate"]})
        return
    print_facts({**_facts(found), "gate": gate.gate})
    for reason in gate.reasons:
        say(text_of(reason.detail))


def register_checkpoint(
    model: Model,
    name: Annotated[str, typer.Argument(help="The new checkpoint's name.")],
    source: Annotated[
        str,
        typer.Argument(
            help="A directory under an allowed root of the service, an s3:// URI, or hf://owner/name."
        ),
    ],
    revision: Annotated[str | None, typer.Option(help="Hub revision.", show_default=False)] = None,
    parent: Annotated[
        str | None,
        typer.Option(help="What it was made from; default: the newest.", show_default=False),
    ] = None,
    digest: Annotated[
        str | None, typer.Option(help="SHA-256 of the weights, to be checked.", show_default=False)
    ] = None,
    is_benign: Annotated[
        bool, typer.Option("--benign", help="Known to be a harmless update.")
    ] = False,
    note: Annotated[str | None, typer.Option(help="For people.", show_default=False)] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Wait for its evaluations.")] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Register a checkpoint: one evaluation starts for each enabled monitor of the model.

    `featuredrift check` registers, waits and answers with the gate, for pipelines.
    """
    with connected(url) as client:
        done = client.checkpoints.register(
            model,
            name,
            absolute(source),
            revision=revision,
            parent=parent,
            digest=digest,
            benign=is_benign,
            note=note,
        )
        found = done.checkpoint
        say("registered" if done.new else "was registered already, with the same content")
        for skipped in found.skipped:
            say(text_of(f"monitor {skipped.monitor} could not start: {skipped.detail}"))
        ended = [follow(client, each) for each in found.evaluations] if watch else []
    if as_json:
        evaluations = [each.model_dump(mode="json") for each in ended]
        more = {"new": done.new, **({"ended": evaluations} if watch else {})}
        print_json({**found.model_dump(mode="json"), **more})
    else:
        print_facts(_facts(found))
    for each in ended:
        require_success(each)


def benign(
    model: Model,
    checkpoint: Checkpoint,
    lift: Annotated[bool, typer.Option("--lift", help="Take the mark away.")] = False,
    by: By = None,
    note: Note = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Mark a checkpoint as a harmless update; it widens the margins of later evaluations."""
    with connected(url) as client:
        found = client.checkpoints.mark_benign(model, checkpoint, not lift, by=who(by), note=note)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        print_facts(_facts(found))


def alias(
    model: Model,
    name: Annotated[str, typer.Argument(help="The alias, such as baseline.")],
    checkpoint: Annotated[
        str | None,
        typer.Argument(
            help="Where it shall point; left out: where it points now.",
            autocompletion=complete_checkpoints,
            show_default=False,
        ),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the alias.")] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show, make, move or remove an alias; monitors that follow it compare with it from then on."""
    if remove and checkpoint is not None:
        complain("--remove and a checkpoint contradict each other; give one of them")
        raise typer.Exit(2)
    with connected(url) as client:
        try:
            found = client.aliases.get(model, name)
        except NotFoundError as error:
            if checkpoint is None or error.code != "unknown_alias":
                raise
            found = None
        before = found.checkpoint if found else None
        if remove and found:
            client.aliases.delete(model, name, version=found.version)
        elif checkpoint is not None:
            version = found.version if found else None
            found = client.aliases.put(model, name, checkpoint, version=version)
    if found is None:
        raise typer.Exit(Exit.REFUSED)
    if as_json:
        print_json({**found.model_dump(mode="json"), "removed": remove})
        return
    if remove:
        say(f"removed; it pointed at {text_of(before)}")
    elif before not in (None, found.checkpoint):
        say(f"moved from {text_of(before)}")
    print_facts({"model": model, "alias": name, "checkpoint": found.checkpoint})


def _facts(found: CheckpointOut) -> dict[str, object]:
    return {
        "checkpoint": f"{found.model} {found.name}",
        "source": found.source,
        "revision": found.resolved_revision or found.revision,
        "parent": found.parent,
        "benign": found.benign_note or "yes" if found.benign else None,
        "note": found.note,
        "weights": found.weights_digest,
        "registered": found.created_at,
        "evaluations": [str(identity) for identity in found.evaluations],
    }
