"""Changes that were planted in the activations are found, and found as what they are."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter
from safetensors.torch import save_file

from app.registry.definitions import Component, Composite, Feature, Neuron, SaeLatent
from tests.worlds.diagnosis.planted import (
    WIDTH,
    activations,
    ask,
    dictionary,
    latents,
    readouts,
    rotation,
)
from workers.diagnosis import Diagnosis, diagnose
from workers.diagnosis.heads import SiteHeads
from workers.features.dictionaries import DictionarySource, load_dictionary


def labels(found: dict[str, Diagnosis]) -> dict[str, str]:
    return {name: diagnosis.label for name, diagnosis in found.items()}


def test_a_rescaled_site(tmp_path: Path) -> None:
    a = activations()
    features = [*readouts(), *latents()]
    found = diagnose(ask(features, a, 1.5 * a, {"sae": dictionary(tmp_path)}, folder=tmp_path))
    assert set(labels(found).values()) == {"rescaled"}, {n: d.reason for n, d in found.items()}
    assert found["probe"].figures["site_scale"] == pytest.approx(
        {"blocks.1.hook_resid_post": 1 / 1.5}, rel=1e-4
    )
    assert "1.5 times" in found["probe"].reason


def test_a_feature_whose_own_value_is_rescaled() -> None:
    a = activations()
    b = a.copy()
    b[:, 4] *= 2
    found = diagnose(ask([readouts()[2]], a, b))
    assert found["neuron"].label == "rescaled"
    assert found["neuron"].figures["own_scale"] == pytest.approx(0.5, rel=1e-4)


@pytest.mark.parametrize("architecture", ["standard", "jumprelu", "gated", "topk"])
def test_a_rotated_site(tmp_path: Path, architecture: str) -> None:
    a = activations()
    b = (a @ rotation() + np.linspace(-1, 1, WIDTH)).astype(np.float32)
    # Of a random top-k dictionary some latents hardly ever win.
    features = [*readouts(), *latents(3 if architecture == "topk" else 12)]
    source = dictionary(tmp_path, architecture, **({"k": 16} if architecture == "topk" else {}))
    found = diagnose(ask(features, a, b, {"sae": source}, folder=tmp_path))
    assert set(labels(found).values()) == {"rotated"}, {n: d.reason for n, d in found.items()}


def test_a_linear_map_that_is_no_rotation() -> None:
    a = activations()
    b = (a @ (rotation() * np.linspace(0.4, 3, WIDTH))).astype(np.float32)
    found = diagnose(ask(readouts()[:2], a, b))
    assert labels(found) == {"probe": "rotated", "direction": "rotated"}
    assert "ridge" in found["probe"].reason


def test_permuted_neurons_are_found_at_their_new_index() -> None:
    a = activations()
    order = np.random.default_rng(5).permutation(WIDTH)
    features = [Neuron(name=f"n{i}", site=readouts()[2].site, index=i) for i in range(WIDTH)]
    found = diagnose(ask(features, a, a[:, order]))
    place = np.argsort(order)
    for i in np.flatnonzero(place != np.arange(WIDTH)):
        diagnosis = found[f"n{i}"]
        assert diagnosis.label == "relocated", diagnosis.reason
        assert diagnosis.repair is not None
        assert diagnosis.repair.definition["index"] == place[i]


def written(folder: Path, Q: NDArray[np.float64], bias: float) -> DictionarySource:
    """A dictionary whose latents are the columns of an orthogonal matrix."""
    dictionary(folder, d_sae=WIDTH)
    file = folder / "sae" / "sae_weights.safetensors"
    tensors = {
        "W_enc": torch.from_numpy(Q.astype(np.float32).copy()),
        "W_dec": torch.from_numpy(Q.T.astype(np.float32).copy()),
        "b_enc": torch.full((WIDTH,), bias),
        "b_dec": torch.zeros(WIDTH),
    }
    save_file(tensors, file)
    return load_dictionary("sae", str(folder / "sae"), roots=[folder], cache=folder / "c")


def test_permuted_latents_are_found_at_their_new_index(tmp_path: Path) -> None:
    # With an orthogonal encoder a turn of the site permutes the latents.
    Q, order = rotation(), np.roll(np.arange(WIDTH), 3)
    source = written(tmp_path, Q, bias=-0.5)
    a = activations()
    b = (a @ Q[:, order] @ Q.T).astype(np.float32)
    features = [SaeLatent(name=f"l{i}", dictionary="sae", index=i) for i in range(WIDTH)]
    found = diagnose(ask(features, a, b, {"sae": source}))
    for i, diagnosis in enumerate(found.values()):
        assert diagnosis.label == "relocated", diagnosis.reason
        assert diagnosis.repair is not None
        assert diagnosis.repair.definition["index"] == (i + 3) % WIDTH


def test_a_direction_made_unreadable_is_lost_and_the_others_are_not() -> None:
    a = activations()
    rng = np.random.default_rng(8)
    b = a.copy()
    # Coordinate 4 carries something else now, and no other coordinate knew it.
    a[:, 4] = rng.laplace(size=len(a))
    b[:, 4] = rng.laplace(size=len(a))
    found = diagnose(ask(readouts(), a, b))
    assert found["neuron"].label == "lost"
    assert found["neuron"].repair is None


def test_fresh_weights_lose_everything_even_what_the_tokens_tell(tmp_path: Path) -> None:
    a = activations()
    rng = np.random.default_rng(11)
    # Both fresh and randomised weights know the token: half of what the baseline's values are.
    mixing = [rng.normal(size=(WIDTH // 2, WIDTH)) for _ in range(2)]
    token = a[:, : WIDTH // 2]
    fresh, random = (
        (token @ m + 0.1 * rng.normal(size=a.shape)).astype(np.float32) for m in mixing
    )
    question = ask([*readouts(), *latents(6)], a, fresh, {"sae": dictionary(tmp_path)})
    question.randomised.a["blocks.1.hook_resid_post"] = random  # type: ignore[index, union-attr]
    found = diagnose(question)
    assert set(labels(found).values()) == {"lost"}, {n: d.reason for n, d in found.items()}


def test_what_is_still_linearly_there_is_relocated_to_a_new_readout() -> None:
    a = activations()
    rng = np.random.default_rng(12)
    b = (a @ rotation() + 1.5 * rng.normal(size=a.shape)).astype(np.float32)
    found = diagnose(ask(readouts()[:1], a, b))
    assert found["probe"].label == "relocated", found["probe"].reason
    repair = found["probe"].repair
    assert repair is not None
    assert repair.definition["kind"] == "linear_probe"
    assert repair.evidence["correlation"]["candidate"]["lower"] > 0.7


def test_without_a_randomised_model_a_readout_is_not_told_from_reading_tokens() -> None:
    a = activations()
    rng = np.random.default_rng(12)
    b = (a @ rotation() + 1.5 * rng.normal(size=a.shape)).astype(np.float32)
    found = diagnose(ask(readouts()[:1], a, b, random=False))
    assert found["probe"].label == "unexplained"
    assert "randomised" in found["probe"].reason


def test_few_documents_are_at_most_consistent_with_something() -> None:
    a = activations(documents=20)
    found = diagnose(ask(readouts(), a, (a @ rotation()).astype(np.float32)))
    assert set(labels(found).values()) == {"unexplained"}
    assert "consistent with rotated" in found["probe"].reason
    assert found["probe"].repair is None


def test_a_feature_that_did_not_change_on_the_sample_is_not_explained() -> None:
    a = activations()
    found = diagnose(ask(readouts(), a, a.copy()))
    assert set(labels(found).values()) == {"unexplained"}
    assert "as it is" in found["probe"].reason


def test_composites_are_what_their_components_are(tmp_path: Path) -> None:
    a = activations()
    parts = readouts()
    composite = Composite(
        name="both",
        operation="max",
        components=(Component(feature="probe"), Component(feature="direction", weight=-2.0)),
    )
    source = {"sae": dictionary(tmp_path)}
    rotated = diagnose(ask([*parts, composite], a, (a @ rotation()).astype(np.float32), source))
    assert rotated["both"].label == "rotated"
    rng = np.random.default_rng(2)
    gone = diagnose(ask([*parts, composite], a, rng.normal(size=a.shape).astype(np.float32)))
    assert gone["both"].label == "lost"


def test_a_stale_dictionary(tmp_path: Path) -> None:
    # Sparse sources along orthonormal directions, and a dictionary that knows them.
    rng = np.random.default_rng(4)
    Q = rotation()
    source = written(tmp_path, Q, bias=-0.5)
    shape = activations().shape
    a = (rng.exponential(2.0, shape) * (rng.random(shape) < 0.1) @ Q.T).astype(np.float32)
    b = (a + 0.7 * rng.normal(size=shape)).astype(np.float32)
    found = diagnose(ask(latents(5), a, b, {"sae": source}))
    assert set(labels(found).values()) == {"dictionary_stale"}, {
        n: d.reason for n, d in found.items()
    }


def test_every_repair_is_a_valid_definition_that_restores_the_feature(tmp_path: Path) -> None:
    a = activations()
    b = (a @ rotation() + 1).astype(np.float32)
    features = [*readouts(), *latents(4)]
    found = diagnose(ask(features, a, b, {"sae": dictionary(tmp_path)}, folder=tmp_path / "new"))
    adapter: TypeAdapter[Feature] = TypeAdapter(Feature)
    for feature in features:
        repair = found[feature.name].repair
        assert repair is not None, found[feature.name]
        assert repair.evidence["held_out"]["verdict"] == "stable"
        new = adapter.validate_json(adapter.dump_json(adapter.validate_python(repair.definition)))
        sources = {"sae": dictionary(tmp_path)}
        if repair.dictionary is not None:
            sources[repair.dictionary["name"]] = load_dictionary(
                repair.dictionary["name"],
                repair.dictionary["source"],
                roots=[tmp_path],
                cache=tmp_path,
            )
        before = SiteHeads([feature], sources, WIDTH).under()(a)
        after = SiteHeads([new], sources, WIDTH).under()(b)
        np.testing.assert_allclose(after, before, atol=2e-2, rtol=1e-2)
