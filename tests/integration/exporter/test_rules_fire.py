"""Each alert fires when it should, is silent when it should be, and outlives an absent database."""

import subprocess
from pathlib import Path

import pytest

from tests.support.tools import tool

RULE_TESTS = Path(__file__).parents[3] / "deploy/prometheus/tests"


@pytest.mark.parametrize("path", sorted(RULE_TESTS.glob("*.yml")), ids=lambda path: path.stem)
def test_the_rules_do_what_their_tests_say(path: Path) -> None:
    done = subprocess.run([tool("promtool"), "test", "rules", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
