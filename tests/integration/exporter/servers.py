"""Real Prometheus and Alertmanager processes, with the deployed configuration at a test's pace."""

import json
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.integration.embedded.up import wait_for
from tests.support.tools import tool

DEPLOY = Path(__file__).parents[3] / "deploy"


def free_port() -> int:
    """A port of 127.0.0.1 that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@contextmanager
def running(command: Sequence[str | Path], url: str, folder: Path, **extra: Any) -> Iterator[None]:
    """A server from its first good answer at `url` to the end of the block."""
    output = folder / "output.txt"
    with output.open("wb") as log:
        process = subprocess.Popen(
            list(map(str, command)), stdout=log, stderr=subprocess.STDOUT, **extra
        )
    try:

        def answers() -> bool:
            assert process.poll() is None, output.read_text()[-2000:]
            try:
                return httpx.get(url).is_success
            except httpx.TransportError:
                return False

        wait_for(answers)
        yield
    finally:
        process.terminate()
        process.wait(30)


@dataclass
class Received:
    """What a webhook receiver was sent, by path."""

    url: str
    bodies: dict[str, list[Any]] = field(default_factory=dict)

    def alerts(self, path: str) -> list[dict[str, Any]]:
        """All alerts that one receiver was sent."""
        return [alert for body in self.bodies.get(path, []) for alert in body["alerts"]]


@contextmanager
def receiver() -> Iterator[Received]:
    """An HTTP server that keeps what is posted to it."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            received.bodies.setdefault(self.path, []).append(json.loads(self.rfile.read(length)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Nothing: a test's output is for failures."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    received = Received(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield received
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def alertmanager(folder: Path, webhooks: str) -> Iterator[str]:
    """The deployed configuration, its receivers at `webhooks`, without waits; yields its URL."""
    configuration = yaml.safe_load((DEPLOY / "alertmanager/alertmanager.yml").read_text())
    for entry in configuration["receivers"]:
        for webhook in entry["webhook_configs"]:
            webhook["url"] = f"{webhooks}/{entry['name']}"
    configuration["route"] |= {"group_wait": "1s", "group_interval": "1s"}
    folder.mkdir()
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(configuration))
    url = f"http://127.0.0.1:{free_port()}"
    command = (
        tool("alertmanager"),
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address={url.removeprefix('http://')}",
        "--cluster.listen-address=",
    )
    with running(command, f"{url}/-/ready", folder):
        yield url


@contextmanager
def prometheus(folder: Path, exporter: str, alertmanager: str | None = None) -> Iterator[str]:
    """The deployed configuration and rules, every 1 s; yields its URL.

    Args:
        exporter: host and port.
        alertmanager: URL.
    """
    configuration = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
    configuration["global"] |= dict.fromkeys(
        ("scrape_interval", "scrape_timeout", "evaluation_interval"), "1s"
    )
    jobs = {job["job_name"]: job for job in configuration["scrape_configs"]}
    job = jobs["featuredrift-exporter"]
    job["static_configs"] = [{"targets": [exporter]}]
    configuration["scrape_configs"] = [job]
    targets = [] if alertmanager is None else [alertmanager.removeprefix("http://")]
    configuration["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": targets}]}]
    (folder / "rules").mkdir(parents=True)
    for path in (DEPLOY / "prometheus/rules").glob("*.yml"):
        rules = yaml.safe_load(path.read_text())
        for group in rules["groups"]:
            group["interval"] = "1s"
            for rule in group["rules"]:
                if "for" in rule:
                    rule["for"] = "1s"
        (folder / "rules" / path.name).write_text(yaml.safe_dump(rules))
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    url = f"http://127.0.0.1:{free_port()}"
    command = (
        tool("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={url.removeprefix('http://')}",
    )
    with running(command, f"{url}/-/ready", folder):
        yield url
