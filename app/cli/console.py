"""Where lines for a person go: results to stdout, everything else to stderr."""

import json
from typing import Any

from rich.console import Console

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def say(line: str) -> None:
    """A remark on what is going on."""
    err.print(line, markup=False)


def complain(line: str) -> None:
    """What went wrong, and what to do."""
    err.print(f"error: {line}", markup=False, style="bold red")


def print_json(value: Any) -> None:
    """A result for a program: plain JSON, with no colour and no wrapping."""
    out.file.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
    out.file.flush()
