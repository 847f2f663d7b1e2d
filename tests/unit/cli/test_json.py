"""Every command can be read by a program."""

from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

from app.cli import app

RUN_UNTIL_STOPPED = "runs until it is stopped, and tells by log lines"
WITHOUT = {
    **dict.fromkeys(("up", "api", "dispatcher", "worker", "exporter"), RUN_UNTIL_STOPPED),
    "demo": "is a show; what it finds is asked of the API, as any evaluation is",
}


def commands(group: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    for name in group.commands:
        command = group.commands[name]
        if hasattr(command, "commands"):
            yield from commands(command, f"{path}{name} ")
        else:
            yield f"{path}{name}", command


EVERY = dict(commands(get_command(app)))


@pytest.mark.parametrize("name", EVERY)
def test_a_command_has_json_or_a_reason(name: str) -> None:
    options = {option for one in EVERY[name].params for option in one.opts}
    assert ("--json" in options) != (name in WITHOUT)


def test_the_exceptions_are_commands() -> None:
    assert set(WITHOUT) <= set(EVERY)
    assert len(EVERY) > 50
