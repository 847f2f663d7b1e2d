"""`settings`, `migrate` and `version`."""

import importlib.metadata
from typing import Annotated

import typer

from app.cli.console import complain, out, print_json, say
from app.settings import get_settings, redact


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(settings)
    app.command()(migrate)
    app.command()(version)


def settings(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Print all settings, without secrets; the environment's are marked with a star."""
    current = get_settings()
    values = current.printable()
    if as_json:
        print_json(values)
        return
    width = max(map(len, values))
    for name, value in values.items():
        mark = "*" if name in current.model_fields_set else " "
        out.print(f"{mark} {name:{width}}  {value}", markup=False)


def migrate(
    revision: Annotated[str, typer.Option(help="Revision to upgrade to.")] = "head",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Bring the database to the schema of this release."""
    from alembic.util.exc import CommandError

    from app.core.database import make_engine
    from app.core.migrate import current_and_head, upgrade
    from app.core.reachable import require_postgres

    current = get_settings()
    require_postgres(current, migrated=False)
    engine = make_engine(current, pool_size=1, application="migrate")
    try:
        before, _ = current_and_head(engine)
        upgrade(engine, revision)
        after, head = current_and_head(engine)
    except CommandError as error:
        complain(f"{error}. This release knows revisions up to {_head()}.")
        raise typer.Exit(1) from None
    finally:
        engine.dispose()
    place = redact(current.database_url)
    if before == after:
        say(f"{place} is at revision {after} already (newest: {head})")
    else:
        say(f"{place}: {before or '(empty)'} → {after} (newest: {head})")
    if as_json:
        print_json({"database": place, "before": before, "after": after, "newest": head})


def version(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Print the version."""
    found = importlib.metadata.version("featuredrift")
    if as_json:
        print_json({"version": found})
    else:
        out.print(found, markup=False)


def _head() -> str | None:
    from alembic.script import ScriptDirectory

    from app.core.migrate import alembic_config

    return ScriptDirectory.from_config(alembic_config()).get_current_head()
