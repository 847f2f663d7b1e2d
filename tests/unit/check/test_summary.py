"""What a terminal is shown: nothing in it is a command to the runner that reads along."""

import json
import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from app.cli.check.summary import show
from app.cli.check.terminal import complain, harmless, print_json, say
from tests.unit.check.outcomes import control, outcome, reason, repair, row

NASTY = [
    "::error::owned",
    "  ::stop-commands::x",
    "\u00a0::add-mask::a",
    "a\n::error::owned",
    "a\r::error::owned",
    "a\u2028::error::owned",
    "a\x85::error::owned",
    "##[error]owned",
    "tail ##[group]x",
    "###[x]",
    "##VSO[task.setvariable variable=x]y",
    "\x1b[2J\x1b]0;title\x07",
    "\x1b[0Ksection_start:1:a",
    "\u202eright to left",
    ":::error::",
]


def commands(text: str) -> list[str]:
    """The lines that GitHub's or Azure's runner would take for commands, or that hold controls."""
    lines = re.split(r"[\n\r\v\f\x85\u2028\u2029]", text)
    return [
        line
        for line in lines
        if line.strip().startswith("::")
        or re.search(r"##(vso)?\[", line, re.IGNORECASE)
        or re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e]", line)
    ]


@pytest.mark.parametrize("nasty", NASTY)
def test_no_text_becomes_a_command(nasty: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert commands(nasty), "or this would show nothing"
    found = outcome(
        "fail",
        [row(nasty, "drifted", diagnosis=nasty, effect=None, reason=nasty)],
        [reason("fail", "drifted", nasty, features=[nasty])],
        [control(nasty, False, nasty)],
        [repair((nasty, nasty))],
        monitor=nasty,
        baseline=nasty,
        notes=[nasty],
    )
    show(replace(found, model=nasty, checkpoint=nasty, trouble=nasty))
    printed = capsys.readouterr()

    assert commands(printed.out) == commands(printed.err) == []
    assert len(printed.out.splitlines()) == 9


@pytest.mark.parametrize("printer", [say, complain])
@pytest.mark.parametrize("nasty", NASTY)
def test_neither_do_remarks_and_errors(
    printer: Callable[[str], None], nasty: str, capsys: pytest.CaptureFixture[str]
) -> None:
    printer(nasty)
    assert commands(capsys.readouterr().err) == []


@pytest.mark.parametrize("nasty", NASTY[:1] + NASTY[7:11])
def test_json_is_the_same_value_and_no_command(
    nasty: str, capsys: pytest.CaptureFixture[str]
) -> None:
    print_json({nasty: [nasty]})
    printed = capsys.readouterr().out
    assert commands(printed) == []
    assert json.loads(printed) == {nasty: [nasty]}


@pytest.mark.parametrize("text", ["a::b", "v1 [x]", "#1", "number: 0.4 [0.2, 0.5]", "ключ 日本"])
def test_what_is_no_command_stays_as_it_is(text: str) -> None:
    assert harmless(text) == text
