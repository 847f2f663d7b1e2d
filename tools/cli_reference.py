"""Write docs/cli.md from the commands themselves, or check that it is what they say.

python -m tools.cli_reference [--check]
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[1] / "docs"
TARGET = DOCS / "cli.md"
HEAD = """<!-- Written by `make cli-reference`; change the commands, not this file. -->
# The command line

All commands, as `--help` shows them. `--url` or `FEATUREDRIFT_URL` says where the API is. The key
is read from `FEATUREDRIFT_API_KEY`; it is no option, for what is typed on a command line is seen
by all users of a machine.

**Output.** Results go to stdout, everything else (progress, remarks, errors) to stderr. With
`--json`, stdout holds one JSON document, in the form that the API answers; a list is an array.
Without it, tables are never cut to the width of the terminal. At a terminal, waiting shows a bar
with rate and time left; elsewhere, a plain line for each change.

**Exit codes** of commands that ask the API (`check` [has its own](#featuredrift-check)):

| code | |
|---|---|
| 0 | done; with `--watch` or `watch`: the evaluation succeeded |
| 1 | refused, not found, not in time; or the evaluation failed or was cancelled |
| 2 | the command line is mistyped |
| 3 | the API does not answer, or is not ready; the same may succeed later |
| 4 | no key, a key that does not work, or one that may not do this |
| 130 | interrupted; what was watched goes on |

**Completion.** `featuredrift --install-completion` installs it for bash, zsh, fish or PowerShell,
and `--show-completion` prints it. Names of models, monitors and checkpoints are completed by
asking the API at `FEATUREDRIFT_URL`, for a second at most.

"""


def render() -> str:
    """The whole page."""
    # Defaults that come from settings are those of a bare environment.
    for name in [name for name in os.environ if name.startswith(("FEATUREDRIFT_", "_TYPER_"))]:
        del os.environ[name]
    os.environ["COLUMNS"] = "100"
    import typer
    from typer.cli import get_docs_for_click

    from app.cli import app

    command = typer.main.get_command(app)
    _lengthen(command)
    context = typer.Context(command, info_name="featuredrift")
    text = get_docs_for_click(obj=command, ctx=context, name="featuredrift", title="Commands")
    # One level down, beneath the page's own title.
    lines = [f"#{line}" if line.startswith("#") else line for line in text.splitlines()]
    return HEAD + "\n".join(line.rstrip() for line in lines).strip() + "\n"


def _lengthen(command: Any) -> None:
    """Lists show the whole first sentence of each command, which help on a screen cuts."""
    for one in getattr(command, "commands", {}).values():
        one.short_help = (one.help or "").split("\n\n")[0].replace("\n", " ")
        _lengthen(one)


def main() -> int:
    """Run the command; 1 when a check finds a difference."""
    parser = argparse.ArgumentParser(prog="python -m tools.cli_reference", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail on a difference")
    options = parser.parse_args()
    text = render()
    if options.check:
        if not TARGET.is_file() or TARGET.read_text(encoding="utf-8") != text:
            sys.stderr.write(f"stale: {TARGET}; run: make cli-reference\n")
            return 1
        return 0
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
