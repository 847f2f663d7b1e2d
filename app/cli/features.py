"""`featuredrift features …`: the group that the commands which bring features in belong to."""

import typer

group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(group, name="features", help="Bring features in from elsewhere.")
