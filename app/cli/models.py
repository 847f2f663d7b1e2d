"""`featuredrift models list|show|create`."""

from typing import Annotated

import typer

from app.cli.console import print_facts, print_json, print_table, say
from app.cli.remote import Json, Limit, Url, complete_models, connected, first

Model = Annotated[str, typer.Argument(help="A model's name.", autocompletion=complete_models)]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    group.command("list")(list_models)
    group.command("show")(show)
    group.command("create")(create)
    app.add_typer(group, name="models", help="Lines of checkpoints that replace each other.")


def list_models(limit: Limit = 50, url: Url = None, as_json: Json = False) -> None:
    """List models."""
    with connected(url) as client:
        found = first(client.models.list(), limit)
    if as_json:
        print_json([model.model_dump(mode="json") for model in found])
        return
    rows = [(model.name, model.created_at, model.description) for model in found]
    print_table(("model", "created", "description"), rows)
    if not found:
        say("none yet; `featuredrift models create NAME` makes one")


def show(model: Model, url: Url = None, as_json: Json = False) -> None:
    """Show a model with its aliases, its monitors and its newest checkpoint."""
    with connected(url) as client:
        found = client.models.get(model)
        aliases = list(client.aliases.list(model))
        monitors = list(client.monitors.list(model=model))
        newest = next(iter(client.checkpoints.list(model)), None)
    if as_json:
        print_json(
            {
                **found.model_dump(mode="json"),
                "aliases": [alias.model_dump(mode="json") for alias in aliases],
                "monitors": [monitor.name for monitor in monitors],
                "newest_checkpoint": newest.name if newest else None,
            }
        )
        return
    print_facts(
        {
            "model": found.name,
            "description": found.description,
            "created": found.created_at,
            "newest": newest.name if newest else "no checkpoint yet",
            "aliases": [f"{alias.name} → {alias.checkpoint}" for alias in aliases],
            "monitors": [m.name if m.enabled else f"{m.name} (disabled)" for m in monitors],
        }
    )


def create(
    name: Annotated[str, typer.Argument(help="The new model's name.")],
    description: Annotated[str | None, typer.Option(help="For people.", show_default=False)] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Register a model; the same again changes nothing."""
    with connected(url) as client:
        found = client.models.create(name, description)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        print_facts({"model": found.name, "created": found.created_at})
