"""`featuredrift monitors list|show|create|enable|disable|history`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.console import complain, print_facts, print_json, print_table, say
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
from app.imports.readers.jsonl import read_json
from app.monitors.schemas import MonitorOut

_MOST = 1 << 20

Monitor = Annotated[str, typer.Argument(help="A monitor's name.", autocompletion=complete_monitors)]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    group.command("list")(list_monitors)
    group.command("show")(show)
    group.command("create")(create)
    group.command("enable")(enable)
    group.command("disable")(disable)
    group.command("history")(history)
    app.add_typer(group, name="monitors", help="What is asked of every checkpoint of a model.")


def list_monitors(
    model: Annotated[
        str | None,
        typer.Option(help="Of this model.", autocompletion=complete_models, show_default=False),
    ] = None,
    limit: Limit = 50,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """List monitors."""
    with connected(url) as client:
        found = first(client.monitors.list(model=model), limit)
    if as_json:
        print_json([monitor.model_dump(mode="json") for monitor in found])
        return
    rows = [
        (row.name, row.model, row.corpus, _watched(row), _baseline(row), row.enabled)
        for row in found
    ]
    print_table(("monitor", "model", "corpus", "watches", "baseline", "enabled"), rows)


def show(monitor: Monitor, url: Url = None, as_json: Json = False) -> None:
    """Show a monitor; --json shows its policy too."""
    with connected(url) as client:
        found = client.monitors.get(monitor)
    _tell(found, as_json)


def create(
    name: Annotated[str, typer.Argument(help="The new monitor's name.")],
    model: Annotated[str, typer.Option(help="The model to watch.", autocompletion=complete_models)],
    corpus: Annotated[str, typer.Option(help="The corpus to run.")],
    baseline: Annotated[
        str, typer.Option(help="The alias, or with --pin the checkpoint, to compare with.")
    ] = "baseline",
    pin: Annotated[
        bool, typer.Option("--pin", help="--baseline names a checkpoint, for good.")
    ] = False,
    feature_set: Annotated[
        str | None,
        typer.Option(help="NAME (its latest version) or NAME:VERSION.", show_default=False),
    ] = None,
    dictionary: Annotated[
        str | None, typer.Option(help="In its place: all latents of it.", show_default=False)
    ] = None,
    watch: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A feature with metrics and alerts of its own; may be repeated.",
            show_default=False,
        ),
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option(help="A JSON file with what differs from the default.", show_default=False),
    ] = None,
    description: Annotated[str | None, typer.Option(help="For people.", show_default=False)] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Watch a model: each checkpoint registered from now on is evaluated."""
    chosen: dict[str, Any] | None = None
    if feature_set is not None:
        set_name, colon, version = feature_set.rpartition(":")
        if colon and not version.isdecimal():
            complain(f"--feature-set is {feature_set!r}; give NAME or NAME:VERSION, such as set:2")
            raise typer.Exit(2)
        chosen = {"name": set_name, "version": int(version)} if colon else {"name": feature_set}
    with connected(url) as client:
        found = client.monitors.create(
            name,
            model=model,
            corpus=corpus,
            baseline={"checkpoint" if pin else "alias": baseline},
            feature_set=chosen,
            dictionary=dictionary,
            policy=_read(policy) if policy else None,
            watchlist=watch,
            description=description,
        )
    if found.unlabelled_concepts:
        names = ", ".join(found.unlabelled_concepts)
        say(f"the corpus has no labels of: {names}; no concept AUROC can be measured for these")
    _tell(found, as_json)


def enable(monitor: Monitor, url: Url = None, as_json: Json = False) -> None:
    """Evaluate each checkpoint that is registered from now on."""
    with connected(url) as client:
        found = client.monitors.change(monitor, enabled=True)
    _tell(found, as_json)


def disable(monitor: Monitor, url: Url = None, as_json: Json = False) -> None:
    """Evaluate no more checkpoints; the gate does not ask this monitor either."""
    with connected(url) as client:
        found = client.monitors.change(monitor, enabled=False)
    _tell(found, as_json)


def history(monitor: Monitor, limit: Limit = 50, url: Url = None, as_json: Json = False) -> None:
    """Show the evaluations of a monitor with their verdict counts."""
    with connected(url) as client:
        found = first(client.monitors.history(monitor), limit)
    if as_json:
        print_json([line.model_dump(mode="json") for line in found])
        return
    rows = []
    for line in found:
        side = line.comparisons.get("baseline")
        counts = side.counts if side else {}
        rows.append(
            (
                *(line.checkpoint, line.baseline, line.state),
                *(counts.get("stable"), counts.get("drifted")),
                sum(counts.values()) - counts.get("stable", 0) - counts.get("drifted", 0),
                *(side.paged if side else None, line.failed_controls, line.evaluation),
            )
        )
    columns = ("checkpoint", "baseline", "state", "stable", "drifted", "other", "paged")
    print_table((*columns, "failed controls", "evaluation"), rows)


def _read(path: Path) -> dict[str, Any]:
    found = read_json(path, _MOST, "a policy is a short object")
    if isinstance(found, dict):
        return found
    complain(f'--policy {path} holds no object; give one such as {{"alpha": 0.05}}')
    raise typer.Exit(Exit.REFUSED)


def _watched(monitor: MonitorOut) -> str:
    if monitor.feature_set is None:
        return f"all of {monitor.dictionary}"
    return f"{monitor.feature_set.name}:{monitor.feature_set.version}"


def _baseline(monitor: MonitorOut) -> str:
    return " ".join(f"{kind} {name}" for kind, name in monitor.baseline.items() if name)


def _tell(found: MonitorOut, as_json: bool) -> None:
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    print_facts(
        {
            "monitor": found.name,
            "description": found.description,
            "model": found.model,
            "corpus": found.corpus,
            "watches": _watched(found),
            "baseline": _baseline(found),
            "watchlist": found.watchlist,
            "enabled": found.enabled,
            "changed": found.updated_at,
        }
    )
