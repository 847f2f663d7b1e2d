"""Postgres, Redis, Prometheus and Alertmanager, each a server of its own that listens on TCP."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from secrets import token_urlsafe

import psycopg
import redis
import yaml

from app.embedded.children import end_group, start_child
from app.embedded.postgres import prepare_postgres, wait_for_postgres
from app.embedded.redis import prepare_redis
from tests.integration.exporter.servers import DEPLOY, free_port, running
from tests.support.deployment import wait_for
from tests.support.tools import tool

PACE: Mapping[str, str] = {
    "scrape_interval": "1s",
    "scrape_timeout": "1s",
    "evaluation_interval": "1s",
    "interval": "1s",
    "for": "3s",
    "group_wait": "1s",
    "group_interval": "1s",
}
"""Setting of the deployed configuration → the time that stands there in the test.

This, the addresses below and the receivers' URLs are all that is substituted: what fires, how it is
labelled, linked, grouped, silenced and routed is as it is deployed. `for` stays above two scrapes.
"""


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """A Postgres whose only database user has a password; yields `postgresql://…`."""
    spec, socket_url = prepare_postgres(folder, log=folder.with_suffix(".log"))
    port, password = free_port(), token_urlsafe(16)
    argv = (*spec.argv, "-c", "listen_addresses=127.0.0.1", "-c", f"port={port}")
    child = start_child(replace(spec, argv=argv))
    try:
        local = f"{socket_url}&port={port}".replace("postgresql+psycopg", "postgresql")
        wait_for_postgres(child, local)
        with psycopg.connect(local, autocommit=True) as connection:
            # A superuser, as the one that Compose's Postgres makes.
            connection.execute(f"CREATE ROLE featuredrift SUPERUSER LOGIN PASSWORD '{password}'")
            connection.execute("CREATE DATABASE featuredrift OWNER featuredrift")
            # From here on, nobody gets in by TCP without a password.
            (rules,) = connection.execute("SHOW hba_file").fetchone() or ("",)
            lines = Path(rules).read_text()
            changed = re.sub(r"^(host\s.*\s)trust$", r"\1scram-sha-256", lines, flags=re.MULTILINE)
            assert changed != lines
            Path(rules).write_text(changed)
            connection.execute("SELECT pg_reload_conf()")
        yield f"postgresql://featuredrift:{password}@127.0.0.1:{port}/featuredrift"
    finally:
        child.end()


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """A Redis with a password; yields `redis://…`."""
    spec, _ = prepare_redis(folder, log=folder.with_suffix(".log"))
    port, password = free_port(), token_urlsafe(16)
    options = {"port": str(port), "bind": "127.0.0.1", "requirepass": password}
    argv = (*spec.argv, *(part for key in options for part in (f"--{key}", options[key])))
    child = start_child(replace(spec, argv=argv))
    url = f"redis://default:{password}@127.0.0.1:{port}/0"
    try:
        with redis.Redis.from_url(url) as client:
            wait_for(lambda: _pongs(client))
        yield url
    finally:
        end_group(child.pid, alive=child.running, stop_signal=spec.stop_signal, grace=spec.grace)
        child.process.wait()


def _pongs(client: "redis.Redis") -> bool:
    try:
        return bool(client.ping())
    except redis.exceptions.ConnectionError:
        return False


def paced(text: str, addresses: Mapping[str, str]) -> str:
    """A deployed configuration at a test's pace and with its addresses.

    Args:
        addresses: address in the file → address in the test; each must be there.
    """
    for setting, time in PACE.items():
        text = re.sub(rf"^(\s*(?:- )?{setting}:) *\d+\w+$", rf"\1 {time}", text, flags=re.MULTILINE)
    for deployed, here in addresses.items():
        assert deployed in text, f"{deployed} is no longer in the configuration"
        text = text.replace(deployed, here)
    yaml.safe_load(text)
    return text


@contextmanager
def alertmanager(folder: Path, port: int, receivers: str) -> Iterator[None]:
    """The deployed configuration; its receivers are at `receivers`."""
    folder.mkdir()
    text = (DEPLOY / "alertmanager/alertmanager.yml").read_text()
    names = ("pager", "tickets")
    addresses = {f"http://{name}.invalid/featuredrift": f"{receivers}/{name}" for name in names}
    (folder / "alertmanager.yml").write_text(paced(text, addresses))
    url = f"http://127.0.0.1:{port}"
    command = (
        tool("alertmanager"),
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        f"--web.external-url={url}",
        "--cluster.listen-address=",
    )
    with running(command, f"{url}/-/ready", folder):
        yield


@contextmanager
def prometheus(folder: Path, port: int, addresses: Mapping[str, str]) -> Iterator[None]:
    """The deployed configuration and rules.

    Args:
        addresses: of what is scraped and linked to: address in the file → address here.
    """
    (folder / "rules").mkdir(parents=True)
    text = (DEPLOY / "prometheus/prometheus.yml").read_text()
    (folder / "prometheus.yml").write_text(paced(text, addresses))
    for path in (DEPLOY / "prometheus/rules").glob("*.yml"):
        (folder / "rules" / path.name).write_text(paced(path.read_text(), {}))
    url = f"http://127.0.0.1:{port}"
    command = (
        tool("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        f"--web.external-url={url}",
    )
    with running(command, f"{url}/-/ready", folder):
        yield
