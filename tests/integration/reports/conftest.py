"""A line of checkpoints that real workers have judged: stable, drifted, untrusted, invalid."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.registry.documents import parse_objects
from app.registry.perturbations import with_variants
from app.settings import Settings
from tests.integration.pipeline.conftest import (  # noqa: F401 - fixtures of ours, a second time
    checkpoints,
    deployment_settings,
    world,
)
from tests.support.deployment import (
    CONTROLS_TO_CHOOSE,
    World,
    documents,
    features_of_all_kinds,
)
from tests.support.models import random_model, train_tokenizer
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


@pytest.fixture(scope="session")
def judged(world: World, checkpoints: dict[str, Path]) -> Line:  # noqa: F811 - the fixtures
    """Evaluations of one line: `stable` is the earlier one of its monitor, `drifted` the later."""
    model = random_model("llama")
    rotate(model, seed=3)
    rotated = world.models / "rotated"
    model.save_pretrained(rotated)
    train_tokenizer().save_pretrained(rotated)
    line = world.model()
    dictionary = world.dictionary(checkpoints["dictionary"])
    features = world.feature_set(features_of_all_kinds(dictionary))
    values = [one.to_json() for one in with_variants(parse_objects(documents(80)), ["case"])]
    corpus = world.corpus(values)
    ids = {
        "base": world.checkpoint(line, checkpoints["base"]),
        "same": world.checkpoint(line, checkpoints["same"]),
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


@pytest.fixture(scope="session")
def client(deployment_settings: Settings) -> Iterator[TestClient]:  # noqa: F811 - the fixture
    """Requests to the application on the deployment's database."""
    with TestClient(create_app(deployment_settings)) as client:
        yield client


@pytest.fixture(scope="session")
def api_url(deployment_settings: Settings) -> Iterator[str]:  # noqa: F811 - the fixture
    """The application behind a real socket."""
    with serving(deployment_settings) as url:
        yield url
