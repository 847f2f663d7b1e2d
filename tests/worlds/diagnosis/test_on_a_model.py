"""A real, tiny model whose residual stream is turned, scaled, erased or drawn afresh."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV

from app.registry.definitions import LinearProbe
from tests.support.models import VOCABULARY, WIDTH, random_model
from tests.worlds.diagnosis.planted import SITE, dictionary, latents, readouts, sample
from workers.demo.activations import collect
from workers.demo.checkpoints import erase, rescale, rotate
from workers.diagnosis import Diagnosis, DiagnosisQuestion, diagnose

DOCUMENTS, LENGTH = 120, 60


@pytest.fixture(scope="module")
def rows() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(4, VOCABULARY, (DOCUMENTS, LENGTH), generator=generator)


@pytest.fixture(scope="module")
def base() -> Any:
    return random_model("llama")


Ask = Callable[[Any], dict[str, Diagnosis]]


@pytest.fixture(scope="module")
def ask(base: Any, rows: torch.Tensor, tmp_path_factory: pytest.TempPathFactory) -> Ask:
    folder: Path = tmp_path_factory.mktemp("model")
    source = dictionary(folder)
    features = {f.name: f for f in [*readouts(), *latents(4), erased_probe()]}
    a = collect(base, rows, SITE).numpy()
    random = sample(collect(random_model("llama", seed=5), rows, SITE).numpy())

    def diagnosed(candidate: Any) -> dict[str, Diagnosis]:
        b = collect(candidate, rows, SITE).numpy()
        question = DiagnosisQuestion(
            features,
            tuple(features),
            sample(a, b),
            {"sae": source},
            random,
            folder=folder / "repairs",
        )
        return diagnose(question)

    return diagnosed


def direction() -> torch.Tensor:
    return torch.randn(WIDTH, generator=torch.Generator().manual_seed(9))


def erased_probe() -> LinearProbe:
    return LinearProbe(name="erased", site=SITE, weights=tuple(direction().tolist()))


def test_a_turned_stream_is_rotated_and_the_repairs_hold(base: Any, ask: Ask) -> None:
    model = deepcopy(base)
    rotate(model, seed=1)
    found = ask(model)
    assert {d.label for d in found.values()} == {"rotated"}, {n: d.reason for n, d in found.items()}
    for diagnosis in found.values():
        assert diagnosis.repair is not None
        assert diagnosis.repair.evidence["held_out"]["verdict"] == "stable"


def test_a_scaled_stream_is_rescaled(base: Any, ask: Ask) -> None:
    model = deepcopy(base)
    rescale(model, 1.5)
    found = ask(model)
    assert {d.label for d in found.values()} == {"rescaled"}


def test_fresh_weights_lose_every_feature(ask: Ask) -> None:
    found = ask(random_model("llama", seed=11))
    assert {d.label for d in found.values()} == {"lost"}, {n: d.reason for n, d in found.items()}


def test_an_erased_direction_is_what_an_independent_refit_says(
    base: Any, ask: Ask, rows: torch.Tensor
) -> None:
    model = deepcopy(base)
    erase(model, direction())
    found = ask(model)["erased"]
    a, b = (collect(m, rows, SITE).numpy() for m in (base, model))
    r = held_out_r(b, a @ direction().numpy())
    assert abs(r - 0.5) > 0.05, "the plant is no clear case; take another direction"
    assert found.label == ("lost" if r < 0.5 else "relocated"), (r, found.reason)


def held_out_r(x: NDArray[np.float32], y: NDArray[np.float32]) -> float:
    half = len(x) // 2
    fit = RidgeCV(np.logspace(-3, 3, 7)).fit(x[:half], y[:half])
    return float(np.corrcoef(fit.predict(x[half:]), y[half:])[0, 1])
