"""Featuredrift's processes, each started by its own command with its own environment."""

import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.integration.embedded.up import command, environment


@contextmanager
def process(folder: Path, name: str, settings: Mapping[str, str]) -> Iterator[subprocess.Popen]:
    """A process that serves until the end of the block, and then ends in order.

    Args:
        folder: of its output, and the one that it runs in.
    """
    here = folder / name
    here.mkdir()
    output = here / "output.txt"
    with output.open("wb") as log:
        child = subprocess.Popen(
            command(name), env=_own(settings), cwd=here, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        yield child
        assert child.poll() is None, f"{name} has ended: {output.read_text()[-2000:]}"
    finally:
        child.terminate()
        try:
            code = child.wait(60)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            raise
    # uvicorn raises the signal again once it has ended in order.
    assert code in {0, -signal.SIGTERM}, f"{name} ended with {code}: {output.read_text()[-2000:]}"


def run(folder: Path, *arguments: str, settings: Mapping[str, str]) -> None:
    """A command that does its work and ends."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        command(*arguments), env=_own(settings), cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _own(settings: Mapping[str, str]) -> dict[str, str]:
    """The process's own settings, and none of anyone else's."""
    return environment(**settings) | {"PYTHONUNBUFFERED": "1"}
