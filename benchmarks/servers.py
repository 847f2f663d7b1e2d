"""Servers of the service's own, started as processes beside a benchmark, on free ports."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
from psycopg.conninfo import make_conninfo
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

from app.core.migrate import upgrade
from app.embedded.postgres import start_postgres

_START_SECONDS = 180.0


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """The URL of a real Postgres that lives as long as the block."""
    server = start_postgres(folder / "postgres")
    try:
        yield server.url
    finally:
        server.stop()


def make_database(url: str, name: str, *, migrated: bool) -> str:
    """The URL of a new database on a server, with our schema or empty."""
    with psycopg.connect(plain(url), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    found = make_url(url).set(database=name).render_as_string(hide_password=False)
    if migrated:
        engine = create_engine(found)
        upgrade(engine)
        engine.dispose()
    return found


def plain(url: str) -> str:
    """A URL as psycopg takes it."""
    return make_conninfo(url.replace("postgresql+psycopg://", "postgresql://", 1))


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def process(
    command: Sequence[str], ready: str, log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A server process from when it answers at a URL to the end of the block.

    Raises:
        RuntimeError: it ended, or did not answer in time; its last lines are in the message.
    """
    with log.open("wb") as out:
        child = subprocess.Popen(
            command, stdout=out, stderr=out, env={**os.environ, **(environment or {})}
        )
        try:
            _wait(child, ready, log)
            yield child
        finally:
            child.terminate()
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


@contextmanager
def featuredrift(
    name: str, database_url: str, folder: Path
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """`featuredrift api` or `featuredrift exporter`: its URL, and its process."""
    port = free_port()
    command = [sys.executable, "-m", "app.cli", name, "--port", str(port)]
    settings = {
        "DATABASE_URL": database_url,
        "FEATUREDRIFT_DATA_DIR": str(folder),
        "FEATUREDRIFT_LOG_LEVEL": "warning",
    }
    url = f"http://127.0.0.1:{port}"
    with process(command, f"{url}/healthz", folder / f"{name}.log", settings) as child:
        yield url, child


def _wait(child: subprocess.Popen[bytes], ready: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and child.poll() is None:
        try:
            if httpx.get(ready, timeout=2).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    lines = log.read_text(errors="replace").splitlines()[-5:]
    raise RuntimeError(f"{ready} does not answer. The last lines: " + " / ".join(lines))
