"""`featuredrift report`: an evaluation's report, into a file or to stdout."""

import sys
from pathlib import Path
from typing import Annotated, Literal
from uuid import UUID

import typer

from app.cli.console import complain, say
from app.cli.remote import Exit, Url, connected
from app.client.protocol import path_of

_SUFFIXES = {"html": "html", "htm": "html", "md": "md", "markdown": "md", "json": "json"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(report)


def report(
    evaluation: Annotated[UUID, typer.Argument(help="An evaluation's id.")],
    form: Annotated[
        Literal["html", "md", "json"] | None,
        typer.Option("--format", "-f", help="Default: what FILE ends with, else md."),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Default: stdout.", dir_okay=False),
    ] = None,
    url: Url = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Write the report of an evaluation: what changed, what broke, what to trust, what to do.

    The same evaluation gives the same bytes. HTML is one file that needs nothing else.
    """
    if as_json and form not in (None, "json"):
        raise typer.BadParameter(f"is another format than --format {form}", param_hint="--json")
    ending = file.suffix.removeprefix(".").lower() if file is not None else ""
    form = "json" if as_json else form
    if form is None and ending and ending not in _SUFFIXES:
        raise typer.BadParameter(
            f"{str(file)!r} ends with .{ending}, and a report is .html, .md or .json; name it so, "
            "or say the form by --format. A browser prints the HTML as PDF",
            param_hint="--out",
        )
    chosen = form or _SUFFIXES.get(ending, "md")
    # The report of a large evaluation takes the server a while.
    with connected(url, timeout=120.0) as client:
        path = path_of("evaluations", evaluation, f"report.{chosen}")
        content = client.transport.send("GET", path).content
    if file is None:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    try:
        file.write_bytes(content)
    except OSError as error:
        complain(f"cannot write {file}: {error.strerror or error}; name another file by --out")
        raise typer.Exit(Exit.REFUSED) from None
    say(f"{file}: {len(content):,} bytes")
