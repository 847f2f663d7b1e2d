"""Three real processes, each with a log of its own, and a receiver of their traces."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from app.core.ids import new_id
from app.embedded.environment import child_environment
from app.embedded.redis import RedisServer
from app.monitors.tables import Monitor
from app.registry.tables import Model
from app.settings import Settings
from tests.support.deployment import (
    World,
    connected,
    features_of_all_kinds,
    save_dictionary,
    wait_for,
)
from tests.support.models import save_checkpoint
from tests.support.otlp import Receiver, receiving

PROCESSES = ("api", "dispatcher", "worker")
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLERS_SPAN = "00f067aa0ba902b7"


@dataclass
class Deployment:
    """Processes that run, or have run."""

    settings: Settings
    world: World
    receiver: Receiver
    processes: dict[str, subprocess.Popen[bytes]]
    client: httpx.Client

    def lines(self, process: str) -> list[dict[str, Any]]:
        """A process's log; what is not JSON fails the test."""
        log = self.settings.data_dir / f"{process}.log"
        return [json.loads(line) for line in log.read_text().splitlines()]

    def lines_of(self, process: str, request_id: str) -> list[dict[str, Any]]:
        """What a process has said of one request."""
        return [line for line in self.lines(process) if line.get("request_id") == request_id]

    def stop(self) -> None:
        """End all in order; their last spans are sent."""
        for name in reversed(PROCESSES):
            process = self.processes[name]
            if process.poll() is None:
                process.terminate()
                process.wait(60)


@pytest.fixture(scope="session")
def traced_settings(
    postgres_url: str, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    """Settings of a deployment with a password in a URL, which no log may show."""
    folder = tmp_path_factory.mktemp("telemetry")
    (folder / "models").mkdir()
    name = f"test_{new_id().hex}"
    server = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE template"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    yield Settings(
        DATABASE_URL=make_url(postgres_url)
        .set(database=name)
        .render_as_string(hide_password=False),
        REDIS_URL=redis_server.url,
        queue=name,
        data_dir=folder,
        model_roots=(folder / "models",),
        port=port,
        threads=1,
        sequence_length=64,
        batch_tokens=512,
        tokens_per_shard=1024,
        lease_seconds=4,
        heartbeat_seconds=1,
        republish_after=2,
    )
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()


@pytest.fixture(scope="session")
def deployment(traced_settings: Settings) -> Iterator[Deployment]:
    """`featuredrift api`, `dispatcher` and `worker`, with traces on."""
    settings = traced_settings
    base_url = f"http://127.0.0.1:{settings.port}"
    with ExitStack() as stack:
        receiver = stack.enter_context(receiving())
        world = stack.enter_context(connected(settings))
        traces = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_BSP_SCHEDULE_DELAY": "200"}
        processes = {
            name: stack.enter_context(_process(settings, (name,), traces)) for name in PROCESSES
        }
        client = stack.enter_context(httpx.Client(base_url=base_url, timeout=30))
        found = Deployment(settings, world, receiver, processes, client)
        wait_for(lambda: _ready(client))
        yield found
        found.stop()


@pytest.fixture(scope="session")
def watched(deployment: Deployment) -> tuple[str, str]:
    """A model with one monitor whose baseline is there: their names."""
    world = deployment.world
    root = deployment.settings.allowed_roots[0]
    dictionary = world.dictionary(save_dictionary(root / "dictionary"))
    model = world.model()
    features = world.feature_set(features_of_all_kinds(dictionary))
    monitor = world.monitor(model, world.corpus(), feature_set=features)
    with world.database.unit_of_work() as session:
        names = session.get_one(Model, model).name, session.get_one(Monitor, monitor).name
    source = str(save_checkpoint(root / "base"))
    checkpoints = f"/v1/models/{names[0]}/checkpoints"
    # While nothing is the baseline, no evaluation starts.
    body = {"name": "base", "source": source}
    assert deployment.client.post(checkpoints, json=body).status_code == 201
    alias = f"/v1/models/{names[0]}/aliases/baseline"
    assert deployment.client.put(alias, json={"checkpoint": "base"}).is_success
    return names


@contextmanager
def _process(
    settings: Settings, arguments: Sequence[str], environment: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    log = settings.data_dir / f"{arguments[0]}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", *arguments],
            env=child_environment(settings) | environment,
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").is_success
    except httpx.TransportError:
        return False
