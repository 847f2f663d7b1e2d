"""Features that follow from the token: fresh weights lose them, whatever their initialisation."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import LlamaForCausalLM

from app.registry.definitions import Feature, LinearProbe
from tests.worlds.diagnosis.planted import (
    SITE,
    activations,
    ask,
    dictionary,
    latents,
    readouts,
    rotation,
    sample,
)
from workers.demo.activations import collect
from workers.demo.model import new_model
from workers.demo.recipe import Recipe
from workers.diagnosis import Diagnosis, DiagnosisQuestion, diagnose
from workers.features.dictionaries import DictionarySource

WIDTH, VOCABULARY, DOCUMENTS, LENGTH = 128, 512, 120, 60
RECIPE = replace(
    Recipe(), width=WIDTH, vocabulary=VOCABULARY, layers=3, heads=4, mlp_width=384, context=64
)


def fresh(initialisation: str, seed: int) -> Any:
    """GPT-2's rule (smaller writes to the residual stream), or the library's own."""
    model: Any = new_model(RECIPE, seed)
    if initialisation == "library":
        torch.manual_seed(seed)
        model = LlamaForCausalLM(model.config)
    return model.eval()


@dataclass(frozen=True)
class World:
    rows: torch.Tensor
    features: dict[str, Feature]
    a: NDArray[np.float32]
    source: DictionarySource

    @property
    def tokens(self) -> NDArray[np.int64]:
        found: NDArray[np.int64] = self.rows.numpy().ravel()
        return found

    def read(self, model: Any) -> NDArray[np.float32]:
        found: NDArray[np.float32] = collect(model, self.rows, SITE).numpy()
        return found

    def question(self, b: NDArray[np.float32], random: Any) -> DiagnosisQuestion:
        return DiagnosisQuestion(
            self.features,
            list(self.features),
            sample(self.a, b),
            {"sae": self.source},
            sample(self.read(random)),
            self.tokens,
        )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A model in whose residual stream the token outweighs the context, as it does early on."""
    rng = np.random.default_rng(0)
    frequency = 1 / np.arange(1, VOCABULARY) ** 1.1
    drawn = rng.choice(VOCABULARY - 1, size=(DOCUMENTS, LENGTH), p=frequency / frequency.sum())
    rows = torch.from_numpy(drawn + 1)
    base = fresh("scaled", 0)
    with torch.no_grad():
        for name, weight in base.named_parameters():
            if weight.ndim > 1:
                weight.normal_(std=1.0 if "embed" in name else 0.7 / np.sqrt(WIDTH))
    a = collect(base, rows, SITE).numpy()
    features = [*readouts(WIDTH), *latents(12)]
    tokens = rows.numpy().ravel()
    features += [probe(f"set-{i}", a, np.isin(tokens, np.arange(i, 512, 9))) for i in range(4)]
    features.append(probe("one-token", a, tokens == 1))
    source = dictionary(tmp_path_factory.mktemp("fresh"), d_in=WIDTH)
    return World(rows, {f.name: f for f in features}, a, source)


def probe(name: str, a: NDArray[np.float32], label: NDArray[np.bool_]) -> LinearProbe:
    x = a - a.mean(0)
    ridge = x.T @ x + 1e-3 * len(x) * x.var() * np.eye(WIDTH)
    w = np.linalg.solve(ridge, x.T @ (label - label.mean()))
    return LinearProbe(name=name, site=SITE, weights=tuple(map(float, w)))


def told(found: dict[str, Diagnosis]) -> dict[str, str]:
    return {name: d.reason for name, d in found.items() if d.label != "lost"}


@pytest.mark.parametrize(
    ("candidate", "null"), [("library", "scaled"), ("scaled", "library"), ("library", "library")]
)
def test_fresh_weights_lose_every_feature(world: World, candidate: str, null: str) -> None:
    b = world.read(fresh(candidate, 11))
    found = diagnose(world.question(b, fresh(null, 5)))
    assert told(found) == {}
    figures = found["one-token"].figures["refitted"]
    assert figures["candidate"]["lower"] > 0.9
    assert figures["beside"] == "token_lookup"
    assert "Nothing beyond the tokens" in found["one-token"].reason


def test_one_initialisation_is_no_measure_of_another(world: World) -> None:
    question = world.question(world.read(fresh("scaled", 11)), fresh("library", 5))
    assert len(told(diagnose(replace(question, token_keys=None)))) > 5


def test_a_turned_model_keeps_features_of_the_token(world: World) -> None:
    turned = (world.a @ rotation(width=WIDTH)).astype(np.float32)
    found = diagnose(world.question(turned, fresh("library", 5)))
    assert {d.label for d in found.values()} == {"rotated"}


def mixed(noise: float) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Coordinate 4 follows from the token, the others hardly."""
    rng = np.random.default_rng(20)
    a = activations()
    tokens = rng.integers(0, 40, len(a))
    a[:, 4] = rng.normal(size=40)[tokens] * 3 + noise * rng.normal(size=len(a))
    return a, tokens


def test_a_feature_of_the_token_is_rotated_by_a_map_that_carries_its_site() -> None:
    a, tokens = mixed(0.02)
    noisy = a + 0.1 * np.random.default_rng(22).normal(size=a.shape)
    sheared = (noisy @ (rotation() * np.linspace(0.4, 3, a.shape[1]))).astype(np.float32)
    neuron = readouts()[2]
    found = diagnose(ask([neuron], a, sheared, token_keys=tokens))["neuron"]
    assert found.label == "rotated", found.reason
    assert found.figures["refitted"]["beside"] == "token_lookup"
    assert found.figures["site_map"]["difference"]["lower"] > 0.1
    assert "site as a whole" in found.reason
    assert found.repair is not None


def test_a_reading_of_the_token_is_not_carried_by_the_site() -> None:
    a, tokens = mixed(0.02)
    rng = np.random.default_rng(21)
    table = rng.normal(size=(40, a.shape[1]))
    table[:, 0] = 0.3 * a[np.unique(tokens, return_index=True)[1], 4]
    b = (table[tokens] @ rotation()).astype(np.float32)
    found = diagnose(ask([readouts()[2]], a, b, token_keys=tokens))["neuron"]
    assert found.figures["mapped"]["verdict"] == "stable"
    assert found.label == "lost", found.reason


def test_a_nearly_constant_feature_is_not_restored_by_a_factor() -> None:
    a = activations()
    a[:, 4] = 100 + np.random.default_rng(1).normal(size=len(a))
    b = a.copy()
    b[:, 4] = 50 + np.random.default_rng(2).normal(size=len(a))
    # Shifted into the definition's bias, it is its mean that changed; what varies is gone.
    found = diagnose(ask([readouts()[2]], a, b))["neuron"]
    assert found.label == "lost", found.reason


def test_keys_must_fit_the_sample() -> None:
    a = activations(documents=4)
    with pytest.raises(ValueError, match="one integer for each"):
        diagnose(ask(readouts(), a, a, token_keys=np.arange(3)))
