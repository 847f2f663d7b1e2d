"""Write the synchronous client from the asynchronous one, or check that it is what that says.

python -m tools.client [--check]
"""

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

CLIENT = Path(__file__).resolve().parents[1] / "app" / "client"
SOURCE, TARGET = CLIENT / "asynchronous", CLIENT / "synchronous"
DOCSTRING = '"""The synchronous client: written by `make client` from the asynchronous one."""\n'
_NOTE = "# Written by `make client` from app/client/asynchronous; change it there.\n"
_RULES = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\basync (def|for|with)\b", r"\1"),
        (r"\bawait ", ""),
        (r"\bapp\.client\.asynchronous\b", "app.client.synchronous"),
        (r"\basync_pause\b", "pause"),
        (r"\bAsyncIterator\b", "Iterator"),
        (r"\bhttpx\.AsyncBaseTransport\b", "httpx.BaseTransport"),
        (r"\bAsync([A-Z]\w+)\b", r"\1"),
        (r"\b__a(enter|exit)__\b", r"__\1__"),
        (r"\baclose\b", "close"),
    )
)


def translate(text: str) -> str:
    """The synchronous form of an asynchronous module, not yet formatted."""
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return _NOTE + text


def formatted(text: str) -> str:
    """The text with its imports sorted, and laid out as everything else is."""
    ruff = shutil.which("ruff", path=Path(sys.executable).parent) or "ruff"
    # What has become roundabout without `async` is said plainly. The modules are our own, even
    # while they are not there yet.
    rules = ("--select", "I,UP028,SIM108,C416", "--fix", "--unsafe-fixes", "--quiet")
    own = ("--config", "lint.isort.known-first-party=['app']")
    for command in (("check", *rules, *own), ("format", "--quiet")):
        arguments = [ruff, *command, "--stdin-filename", str(TARGET / "x.py"), "-"]
        done = subprocess.run(  # noqa: S603 - our own tool on our own text
            arguments, input=text, capture_output=True, text=True, check=True
        )
        text = done.stdout
    return text


def render() -> dict[str, str]:
    """File name → content, of the whole synchronous client."""
    found = {"__init__.py": DOCSTRING}
    for path in sorted(SOURCE.glob("*.py")):
        if path.name != "__init__.py":
            found[path.name] = formatted(translate(path.read_text()))
    return found


def main() -> int:
    """Run the command; 1 when a check finds a difference."""
    parser = argparse.ArgumentParser(prog="python -m tools.client", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail on a difference")
    options = parser.parse_args()
    found = render()
    there = {path.name: path.read_text() for path in TARGET.glob("*.py")}
    stale = sorted(n for n in found.keys() | there.keys() if found.get(n) != there.get(n))
    if options.check:
        if stale:
            sys.stderr.write(f"stale in {TARGET}: {', '.join(stale)}; run: make client\n")
        return 1 if stale else 0
    for name in stale:
        if name in found:
            (TARGET / name).write_text(found[name])
        else:
            (TARGET / name).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
