"""Where files of a checkpoint or a dictionary are, as a person says it in a terminal."""

import os
from pathlib import Path

from app.cli.console import plain, say


def absolute(source: str) -> str:
    """A folder that is named from here, by its absolute path; anything else as it is.

    The service is in another folder, and perhaps on another machine.
    """
    if source.startswith("/") or "://" in source or not source:
        return source
    here = Path(source).expanduser()
    if not here.is_dir():
        return source
    found = os.path.abspath(here)  # noqa: PTH100 - links stay as they are named
    say(plain(f"{source} is {found}"))
    return found
