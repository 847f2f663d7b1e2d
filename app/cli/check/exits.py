"""What the exit code of `check` says, whatever goes wrong."""

import traceback
from enum import IntEnum
from typing import Any

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError
from typer.core import TyperCommand

from app.cli.check.terminal import complain
from app.cli.console import NO_ROOM, no_room


class Exit(IntEnum):
    """What the exit code says."""

    PASS = 0
    FAIL = 1
    INCONCLUSIVE = 2
    ERROR = 3


class CheckError(Exception):
    """The question could not be put, or has no answer; the message says why."""


class CheckCommand(TyperCommand):
    """A command whose exit code is the gate's answer, and never by accident.

    A mistyped option exits with 2 elsewhere, an unforeseen error and Ctrl-C with 1: a pipeline
    would read "inconclusive" and "fail".
    """

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Parse the arguments; a mistake in them is an error."""
        try:
            return super().make_context(*args, **kwargs)
        except Exception as error:
            # The usage errors of the library carry their own exit code.
            if hasattr(error, "exit_code") and not isinstance(error, typer.Exit):
                error.exit_code = int(Exit.ERROR)
            raise

    def invoke(self, ctx: Any) -> Any:
        """Run it; whatever is not an answer is an error."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            complain("interrupted before the gate answered; what was started goes on: ask again")
        except ValidationError as error:
            for problem in error.errors(include_url=False, include_context=False):
                place = ".".join(str(part) for part in problem["loc"])
                complain(f"setting {place or '(several)'}: {problem['msg']}")
        except SettingsError as error:
            complain(str(error))
        except Exception as error:
            if hasattr(error, "exit_code"):
                raise
            if isinstance(error, OSError) and error.errno in NO_ROOM:
                complain(no_room(error))
                raise typer.Exit(Exit.ERROR) from None
            complain(f"{traceback.format_exc()}this is a fault of featuredrift's own; report it")
            raise typer.Exit(Exit.ERROR) from error
        raise typer.Exit(Exit.ERROR)
