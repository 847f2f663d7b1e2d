"""docs/cli.md is what the commands say."""

import os
import subprocess
import sys

from tools.cli_reference import HEAD, TARGET


def test_the_page_is_fresh_whatever_the_environment() -> None:
    environment = {**os.environ, "FEATUREDRIFT_URL": "http://elsewhere", "COLUMNS": "40"}
    done = subprocess.run(
        [sys.executable, "-m", "tools.cli_reference", "--check"],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def test_every_command_is_on_it() -> None:
    text = TARGET.read_text(encoding="utf-8")
    assert text.startswith(HEAD)
    for name in ("check", "evaluations watch", "repairs accept", "keys create"):
        assert f"`featuredrift {name}`" in text
