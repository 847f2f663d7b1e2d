"""The command itself: put the question, wait, tell the answer in every form that was asked for."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from app.cli.check import junit, markdown
from app.cli.check.client import connected
from app.cli.check.evidence import Outcome, gather
from app.cli.check.exits import CheckCommand, CheckError, Exit
from app.cli.check.files import prepare, write
from app.cli.check.summary import show
from app.cli.check.terminal import complain, print_json, say
from app.cli.check.waiting import shown_progress
from app.cli.console import err
from app.cli.sources import absolute
from app.core.errors import InvalidInputError
from app.core.waiting import parse_duration
from app.settings import get_settings

_LOOKED_AT, _LOGGED = 1.0, 10.0
"""Seconds between two looks at how far it is, at a terminal and in a job's log."""

_EXITS = {"pass": Exit.PASS, "fail": Exit.FAIL, "error": Exit.ERROR}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(cls=CheckCommand)(check)


def check(
    model: Annotated[str, typer.Argument(help="The model's name.")],
    checkpoint: Annotated[str, typer.Argument(help="The checkpoint's name.")],
    source: Annotated[
        str | None, typer.Option(help="Register the checkpoint with this source first.")
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Revision of the source.")] = None,
    parent: Annotated[str | None, typer.Option(help="The checkpoint that it came from.")] = None,
    wait: Annotated[str, typer.Option(help="How long to wait for the answer: 90s, 30m, 2h.")] = (
        "30m"
    ),
    url: Annotated[
        str | None, typer.Option(envvar="FEATUREDRIFT_URL", help="Where the API is.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the answer and its evidence as JSON.")
    ] = False,
    junit_file: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML to this file.")
    ] = None,
    markdown_file: Annotated[
        Path | None,
        typer.Option("--markdown", metavar="FILE", help="Write a pull-request comment to it."),
    ] = None,
) -> None:
    """Ask the gate about a checkpoint.

    Exit code: 0 pass, 1 fail, 2 inconclusive or not decided within --wait, 3 error. Files are
    written whatever the answer is, an error included; what an earlier check left there is removed
    at the start.
    """
    reports = Reports(junit_file, markdown_file)
    try:
        reports.prepare()
    except CheckError as error:
        complain(str(error))
        raise typer.Exit(Exit.ERROR) from None
    base = url or ""
    try:
        settings = get_settings()
        base = url or f"http://{settings.host}:{settings.port}"
        deadline = time.monotonic() + parse_duration(wait)
        if source is None and (revision is not None or parent is not None):
            raise CheckError("--revision and --parent belong to --source; give it, or leave them")
        with connected(base) as api:
            if source is not None:
                source = absolute(source)
                new = api.register(model, checkpoint, source, revision=revision, parent=parent)
                say(f"{'registered' if new else 'was registered already:'} {model} {checkpoint}")
            every = _LOOKED_AT if err.is_terminal else _LOGGED
            with shown_progress(model, checkpoint) as tell:
                gate = api.wait_for_gate(model, checkpoint, deadline, tell, every=every)
            told = "public_url" in settings.model_fields_set
            outcome = gather(api, gate, settings.public_url if told else base)
    except (CheckError, InvalidInputError) as error:
        trouble = error.detail if isinstance(error, InvalidInputError) else str(error)
        outcome = Outcome("error", model, checkpoint, base, trouble=trouble)
    except BaseException as error:
        # Interrupted, or a fault of our own: the files say that there is no answer.
        trouble = f"the check ended without an answer: {type(error).__name__}"
        reports.write(Outcome("error", model, checkpoint, base, trouble=trouble))
        raise
    try:
        reports.write(outcome)
    except CheckError as error:
        complain(str(error))
        raise typer.Exit(Exit.ERROR) from None
    if as_json:
        print_json(outcome.to_json())
    if outcome.gate == "error":
        complain(outcome.trouble)
    elif not as_json:
        show(outcome)
    if outcome.gate == "pending":
        say(f"not decided within {wait}; ask again with a longer --wait")
    raise typer.Exit(_EXITS.get(outcome.gate, Exit.INCONCLUSIVE))


@dataclass(frozen=True)
class Reports:
    """The files that were asked for."""

    junit: Path | None
    markdown: Path | None

    def prepare(self) -> None:
        """See that they can be written, before any waiting.

        Raises:
            CheckError: one cannot, or both are the same.
        """
        if self.junit and self.markdown and self.junit.resolve() == self.markdown.resolve():
            raise CheckError(f"--junit and --markdown are both {self.junit}; name two files")
        prepare(self.junit, "--junit")
        prepare(self.markdown, "--markdown")

    def write(self, outcome: Outcome) -> None:
        """Write them.

        Raises:
            CheckError: one cannot be written.
        """
        write(self.junit, "--junit", junit.render(outcome))
        write(self.markdown, "--markdown", markdown.render(outcome))
