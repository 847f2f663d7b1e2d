"""Every `featuredrift …` that a page shows is one that the program understands."""

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from app.cli import app
from tests.unit.docs.pages import Code, code_of, logical_lines, pages

# Where a command may begin: a line, a list of commands, a substitution; behind variables.
_COMMAND = re.compile(
    r"(?:^|[;&|(]\s*|\$\s)(?:[A-Z_]+=\S*\s+)*featuredrift\s+(?P<arguments>[^\n]*)"
)
_SOME_ID = "019ab7d2-5c00-7000-8000-000000000009"


def shown() -> Iterator[tuple[Code, str]]:
    """Each command with the place that shows it."""
    for path in pages():
        for code in code_of(path):
            if code.inline and not code.text.startswith("featuredrift "):
                continue
            if code.language in {"python", "json", "text", "yaml", "promql"}:
                continue
            for line in logical_lines(code.text):
                for found in _COMMAND.finditer(line):
                    yield code, found["arguments"]


def words(arguments: str) -> list[str]:
    """The words of a command line, as far as its own go; `[…]` are options that may be left out."""
    arguments = arguments.split(')"')[0]  # the end of a substitution
    lexer = shlex.shlex(re.sub(r"(?<!\S)\[|\](?=\s|\]|$)", " ", arguments), posix=True)
    lexer.whitespace_split = True
    lexer.commenters = "#"
    found: list[str] = []
    for word in lexer:
        value = word == ";" and bool(found) and found[-1].startswith("--")
        if word in {"&&", "|", "||", ";", ">", "2>", "<"} and not value:
            break
        ended = word.endswith((")", ";")) and not value
        word = word.rstrip(");") or word
        if "$" in word or word == "…":
            word = _SOME_ID
        found.append({"N": "1", "SECONDS": "1", "H": "localhost"}.get(word, word))
        if ended:
            break
    return [word.rstrip("]") for word in found if word]


def parse(arguments: list[str]) -> Any:
    """What the program makes of a command line, short of doing it."""
    command: Any = typer.main.get_command(app)
    context = command.make_context("featuredrift", list(arguments))
    while hasattr(command, "resolve_command"):
        rest = [*getattr(context, "_protected_args", ()), *context.args]
        name, command, rest = command.resolve_command(context, rest)
        context = command.make_context(name, rest, parent=context)
    return context


def test_every_command_line_is_understood() -> None:
    seen, wrong = 0, []
    for code, arguments in shown():
        seen += 1
        try:
            parse(words(arguments))
        except Exception as error:  # noqa: BLE001 - all of them are told at once
            # A sentence may speak of a command without its arguments.
            missing = type(error).__name__ in {"MissingParameter", "NoArgsIsHelpError"}
            if not (code.inline and missing):
                told = getattr(error, "message", None) or repr(error)
                wrong.append(f"{code.place}: featuredrift {arguments}\n    {told}")
    assert not wrong, "\n".join(wrong)
    assert seen > 90


@pytest.mark.parametrize(
    "mistyped",
    ["chekc support-bot v1", "check support-bot", "check a b --wiat 30m", "keys creat ada"],
)
def test_what_is_mistyped_is_found(mistyped: str) -> None:
    with pytest.raises(Exception, match=r"(?i)no such|missing"):
        parse(words(mistyped))
