"""Peers whose requirements conflict with ours run in environments of their own, made on demand."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

REQUIREMENTS: Mapping[str, Sequence[str]] = {
    "evidently": ("evidently==0.7.23", "pandas<3"),
    # NannyML imports statsmodels without requiring it, and breaks with pandas 3.
    "nannyml": ("nannyml==0.13.1", "pandas<3", "statsmodels"),
    "mlflow": ("mlflow==3.17.2", "psycopg2-binary==2.9.13"),
}
_SECONDS = 900


class PeerError(Exception):
    """A peer could not be run; the message says why."""


def interpreter(name: str) -> Path:
    """Python with the peer installed, below the running environment; made the first time.

    Raises:
        PeerError: it cannot be installed here.
    """
    folder = Path(sys.prefix) / "peers" / name
    python = folder / "bin" / "python"
    done = folder / ".installed"
    wanted = "\n".join(REQUIREMENTS[name])
    if done.exists() and done.read_text() == wanted:
        return python
    _call([sys.executable, "-m", "venv", "--clear", str(folder)])
    _call([str(python), "-m", "pip", "install", "--quiet", *REQUIREMENTS[name]])
    done.write_text(wanted)
    return python


def call_peer(name: str, script: str, *arguments: str) -> dict[str, Any]:
    """What a script prints as JSON in its last line, run where the peer is installed.

    Raises:
        PeerError: it cannot be installed, or fails.
    """
    out = _call([str(interpreter(name)), "-W", "ignore", "-c", script, *arguments])
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found


def _call(command: list[str]) -> str:
    # Neither peer is to tell its makers that it was run.
    quiet = {"NML_DISABLE_USAGE_LOGGING": "1", "ITERATIVE_DO_NOT_TRACK": "1", "DO_NOT_TRACK": "1"}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
            env={**os.environ, **quiet},
        )
    except subprocess.TimeoutExpired as error:
        raise PeerError(f"took more than {_SECONDS} s") from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise PeerError(lines[-1][:200])
    return done.stdout
