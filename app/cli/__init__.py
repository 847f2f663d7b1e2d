"""The command line: `featuredrift …`."""

import sys

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError

from app.cli.console import NO_ROOM, complain, no_room, write_what_can_be_written
from app.cli.lazy import lazy_group
from app.core.errors import FeaturedriftError, StartError
from app.embedded.errors import EmbeddedError
from app.settings import Settings

_HOMES = {
    "up": "app.cli.up",
    "demo": "app.cli.up",
    "api": "app.cli.processes",
    "dispatcher": "app.cli.processes",
    "worker": "app.cli.processes",
    "exporter": "app.cli.processes",
    "settings": "app.cli.inspect",
    "migrate": "app.cli.inspect",
    "version": "app.cli.inspect",
    "check": "app.cli.check",
    "doctor": "app.cli.doctor",
    "retention": "app.cli.retention",
    "keys": "app.cli.keys",
    "audit": "app.cli.audit",
    "report": "app.cli.report",
    "models": "app.cli.models",
    "checkpoints": "app.cli.checkpoints",
    "evaluations": "app.cli.evaluations",
    "monitors": "app.cli.monitors",
    "verdicts": "app.cli.verdicts",
    "alerts": "app.cli.alerts",
    "repairs": "app.cli.repairs",
    "dictionaries": "app.cli.definitions",
    "feature-sets": "app.cli.definitions",
    "features": "app.cli.features",
    "corpora": "app.cli.corpora",
}
"""Each command's module, imported when the command is asked for."""

app = typer.Typer(
    name="featuredrift",
    cls=lazy_group(_HOMES),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def _featuredrift() -> None:
    """Finds out, for every new model checkpoint, whether the features you rely on still hold."""


def main() -> None:
    """Run a command; a user's mistake costs one clear line and a non-zero exit."""
    write_what_can_be_written()
    try:
        app()
    except (StartError, EmbeddedError) as error:
        complain(str(error))
    except FeaturedriftError as error:
        complain(error.detail)
    except ValidationError as error:
        # Of anything else it is our own mistake, and its traceback must be seen.
        if error.title != Settings.__name__:
            raise
        for problem in error.errors(include_url=False, include_context=False):
            place = ".".join(str(part) for part in problem["loc"])
            complain(f"setting {place or '(several)'}: {problem['msg']}")
    except SettingsError as error:
        complain(str(error))
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        complain(no_room(error))
    else:
        return
    sys.exit(1)
