"""The command line: `featuredrift …`."""

import sys

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError

from app.cli import (
    alerts,
    audit,
    check,
    checkpoints,
    corpora,
    definitions,
    doctor,
    evaluations,
    features,
    inspect,
    keys,
    models,
    monitors,
    processes,
    repairs,
    report,
    retention,
    up,
    verdicts,
)
from app.cli.console import complain
from app.core.errors import FeaturedriftError
from app.core.reachable import StartError
from app.embedded.errors import EmbeddedError
from app.settings import Settings

app = typer.Typer(
    name="featuredrift",
    help="Finds out, for every new model checkpoint, whether the features you rely on still hold.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
up.register(app)
processes.register(app)
inspect.register(app)
check.register(app)
doctor.register(app)
retention.register(app)
keys.register(app)
audit.register(app)
report.register(app)
for part in (models, checkpoints, evaluations, monitors, verdicts, alerts, repairs, definitions):
    part.register(app)
features.register(app)
corpora.register(app)


def main() -> None:
    """Run a command; a user's mistake costs one clear line and a non-zero exit."""
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
    else:
        return
    sys.exit(1)
