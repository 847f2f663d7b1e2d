"""Lines on a terminal that a pipeline's runner may read as well as a person.

GitHub's runner takes a line of a job's output for a command where it begins with `::` after white
space, or holds `##[` (its older form, which Azure Pipelines writes `##vso[`) anywhere. GitLab's
folds sections at control characters. Names and reasons come from people, so none of it may stand.
"""

import re

from app.cli import console

_COMMAND = re.compile(r"^(\s*:)(?=:)|(#)(?=#(?:vso)?\[)", re.IGNORECASE)


def harmless(line: str) -> str:
    """The text on one line, with control characters escaped and commands broken by a backslash.

    `::error::x` becomes `:\\:error::x`, and `##[group]` becomes `#\\#[group]`.
    """
    return _COMMAND.sub(lambda found: f"{found.group()}\\", console.plain(line))


def show_line(line: str) -> None:
    """A line of the answer, on stdout."""
    console.out.print(harmless(line), markup=False)


def say(line: str) -> None:
    """A remark on what is going on."""
    console.say(harmless(line))


def complain(text: str) -> None:
    """What went wrong, and what to do; a text of several lines stays one."""
    console.complain("\n".join(map(harmless, text.split("\n"))))


def print_json(value: object) -> None:
    """A result for a program, with each second `#` in its strings escaped: the same value."""
    text = console.json_text(value).replace("##", "#\\u0023")
    console.out.file.write(f"{text}\n")
    console.out.file.flush()
