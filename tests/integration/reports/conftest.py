"""A line of checkpoints that real workers have judged: stable, drifted, untrusted, invalid."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from app.core.ids import new_id
from app.embedded.redis import RedisServer
from app.main import create_app
from app.registry.documents import parse_objects
from app.registry.perturbations import with_variants
from app.settings import Settings
from tests.support.deployment import (
    CONTROLS_TO_CHOOSE,
    World,
    connected,
    dispatching,
    documents,
    features_of_all_kinds,
    save_dictionary,
    working,
)
from tests.support.line import TINY
from tests.support.models import random_model, save_checkpoint, train_tokenizer
from tests.support.serving import serving
from workers.demo.checkpoints import rotate

EVERYTHING: dict[str, Any] = {
    "controls": dict.fromkeys(CONTROLS_TO_CHOOSE, True),
    "baselines": True,
    "diagnosis": True,
    "causal": {"features": ["latent", "probe", "composite"], "tokens": 2048},
}


@dataclass(frozen=True)
class Line:
    """Evaluations by what came out of them, and what they were made of."""

    world: World
    evaluations: dict[str, UUID]
    checkpoints: dict[str, UUID]
    monitor: UUID


@pytest.fixture(scope="package")
def reports_settings(
    postgres_url: str, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    """Settings of a deployment whose snapshots are one shard each."""
    folder = tmp_path_factory.mktemp("reports")
    (folder / "models").mkdir()
    name = f"test_{new_id().hex}"
    server = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE template"))
    url = make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
    yield Settings(
        DATABASE_URL=url,
        REDIS_URL=redis_server.url,
        queue=name,
        data_dir=folder,
        model_roots=(folder / "models",),
        **TINY,
    )
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()


@pytest.fixture(scope="package")
def reports_world(reports_settings: Settings) -> Iterator[World]:
    """A running deployment."""
    log = reports_settings.data_dir / "worker.log"
    with (
        connected(reports_settings) as world,
        dispatching(reports_settings),
        working(reports_settings, log, forked=True),
    ):
        yield world


@pytest.fixture(scope="package")
def judged(reports_world: World) -> Line:
    """Evaluations of one line: `stable` is the earlier one of its monitor, `drifted` the later."""
    world = reports_world
    model = random_model("llama")
    rotate(model, seed=3)
    rotated = world.models / "rotated"
    model.save_pretrained(rotated)
    train_tokenizer().save_pretrained(rotated)
    line = world.model()
    dictionary = world.dictionary(save_dictionary(world.models / "dictionary"))
    features = world.feature_set(features_of_all_kinds(dictionary))
    values = [one.to_json() for one in with_variants(parse_objects(documents(80)), ["case"])]
    corpus = world.corpus(values)
    ids = {
        "base": world.checkpoint(line, save_checkpoint(world.models / "base")),
        "same": world.checkpoint(line, save_checkpoint(world.models / "same")),
        "rotated": world.checkpoint(line, rotated),
        "gone": world.checkpoint(line, world.models / "never-there"),
    }
    monitor = world.monitor(line, corpus, feature_set=features, **EVERYTHING)
    plain = world.monitor(line, corpus, feature_set=features)
    strict = world.monitor(line, corpus, feature_set=features, fvu_max=1e-9)
    whole = world.monitor(line, corpus, dictionary=dictionary)

    def evaluate(which: UUID, checkpoint: str, previous: str | None = None) -> UUID:
        other = ids[previous] if previous else None
        found = world.wait(world.evaluate(which, ids[checkpoint], ids["base"], other), timeout=240)
        return found.id

    evaluations = {
        "stable": evaluate(plain, "same"),
        "calm": evaluate(monitor, "same"),
        "drifted": evaluate(monitor, "rotated", previous="same"),
        "invalid": evaluate(strict, "same"),
        "whole": evaluate(whole, "rotated"),
        "failed": evaluate(plain, "gone"),
    }
    return Line(world, evaluations, ids, monitor)


@pytest.fixture(scope="package")
def client(reports_settings: Settings) -> Iterator[TestClient]:
    """Requests to the application on the deployment's database."""
    with TestClient(create_app(reports_settings)) as client:
        yield client


@pytest.fixture(scope="package")
def api_url(reports_settings: Settings) -> Iterator[str]:
    """The application behind a real socket."""
    with serving(reports_settings) as url:
        yield url
