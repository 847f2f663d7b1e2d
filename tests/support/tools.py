"""Programs from outside the virtual environment that some tests run for real."""

import os
import shutil
from pathlib import Path

import pytest

NAMES = {
    "alertmanager": ("prometheus-alertmanager", "alertmanager"),
    "chromium": ("chromium", "chromium-browser", "google-chrome", "chrome"),
    "grafana": ("grafana", "grafana-server"),
    "node": ("node", "nodejs"),
}
"""Program → the names it goes by, where they differ; Debian's first."""

PLACES = ("/usr/local/bin", "/usr/bin", "/usr/sbin", "/usr/share/grafana/bin", "/snap/bin")
"""Where programs lie that `PATH` does not always reach."""

REQUIRE = "FEATUREDRIFT_REQUIRE_TOOLS"


def find_tool(name: str) -> Path | None:
    """Where the program lies, or nothing."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *PLACES))
    for candidate in NAMES.get(name, (name,)):
        if found := shutil.which(candidate, path=path):
            return Path(found)
    return None


def tool(name: str) -> Path:
    """The program that a test cannot do without.

    Without it the test is skipped, saying what is missing; with `FEATUREDRIFT_REQUIRE_TOOLS=1` it
    fails, so that a run that must check everything cannot pass by leaving it out.
    """
    if found := find_tool(name):
        return found
    message = f"{' or '.join(NAMES.get(name, (name,)))} is not installed; this test runs it"
    if os.environ.get(REQUIRE) == "1":
        pytest.fail(f"{message}, and {REQUIRE}=1 allows no test to be skipped for that")
    pytest.skip(message)
