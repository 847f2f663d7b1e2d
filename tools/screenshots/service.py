"""A service on this machine, as `featuredrift up` starts it, with a small line in it."""

import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from app.core.key_text import new_key
from tests.support.line import TINY, SampleLine, build

_READY = re.compile(r"API\s+(http://\S+)")


@dataclass(frozen=True)
class Service:
    """Where it is, a key to sign in with, and what is in it."""

    url: str
    key: str
    line: SampleLine


@contextmanager
def running(folder: Path) -> Iterator[Service]:
    """Start it in an empty folder, and let it judge the line; it is stopped afterwards."""
    bootstrap = new_key()
    settings = {
        "FEATUREDRIFT_REQUIRE_KEYS": "true",
        "FEATUREDRIFT_KEY_PEPPER": secrets.token_urlsafe(32),
        "FEATUREDRIFT_BOOTSTRAP_KEY": bootstrap,
        **{f"FEATUREDRIFT_{name.upper()}": str(value) for name, value in TINY.items()},
    }
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("FEATUREDRIFT_") and name not in {"DATABASE_URL", "REDIS_URL"}
    }
    output = folder / "up.log"
    data = folder / "data"
    with output.open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "app.cli", "up", "--data-dir", str(data), "--port", "0"],
            env=inherited | settings,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        url = _wait(process, output)
        headers = {"Authorization": f"Bearer {bootstrap}"}
        with httpx.Client(base_url=url, headers=headers, timeout=60) as api:
            models = data / "models"
            models.mkdir(exist_ok=True)
            line = build(api, models)
            made = api.post("/v1/api-keys", json={"name": "ada", "scope": "admin", "by": "grace"})
            made.raise_for_status()
        yield Service(url, made.json()["key"], line)
    finally:
        process.terminate()
        process.wait(60)


def _wait(process: "subprocess.Popen[bytes]", output: Path) -> str:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if found := _READY.search(output.read_text()):
            return found[1]
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError(f"the service did not start:\n{output.read_text()[-2000:]}")
