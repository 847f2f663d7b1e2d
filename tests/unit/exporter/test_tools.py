"""A missing program skips a test, or fails it where nothing may be skipped."""

from pathlib import Path

import pytest

from tests.support import tools


def make_program(folder: Path, name: str) -> Path:
    program = folder / name
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return program


def test_a_program_is_found_under_the_name_that_debian_gives_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_program(tmp_path, "alertmanager")
    debian = make_program(tmp_path, "prometheus-alertmanager")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tools, "PLACES", ())

    assert tools.tool("alertmanager") == debian


@pytest.mark.parametrize(
    ("required", "outcome"), [("0", pytest.skip.Exception), ("1", pytest.fail.Exception)]
)
def test_a_missing_program_is_named(
    required: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(tools.REQUIRE, required)

    with pytest.raises(outcome, match="no-such-program is not installed"):
        tools.tool("no-such-program")
