"""What a diagnosis does with little, missing or misaligned input."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.registry.definitions import LinearProbe, SaeLatent
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
from workers.comparison.sites import SiteSample
from workers.diagnosis import diagnose, groups, moments
from workers.errors import EvaluationError


def noisy(a: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(12).normal(size=a.shape)
    return (a @ rotation() + 1.5 * noise).astype(np.float32)


def thinned(whole: SiteSample, keep: np.ndarray) -> SiteSample:
    rows = (whole.rows, whole.document, whole.start, whole.end, whole.cluster)
    return SiteSample(*(v[keep] for v in rows), {s: x[keep] for s, x in whole.a.items()}, {})


def test_the_randomised_model_is_aligned_by_token() -> None:
    a = activations()
    question = ask(readouts()[:1], a, noisy(a))
    # It reads the baseline exactly, if only its tokens are matched with theirs.
    keep = np.random.default_rng(0).random(len(a)) < 0.9
    question = replace(question, randomised=thinned(sample(a), keep))
    found = diagnose(question)["probe"]
    assert found.figures["refitted"]["randomised_model"]["point"] > 0.999
    assert found.label == "lost"


def test_the_answer_is_the_same_twice_and_plain_json(tmp_path: Path) -> None:
    a = activations()
    question = ask(
        [*readouts(), *latents(4)],
        a,
        noisy(a),
        {"sae": dictionary(tmp_path)},
        folder=tmp_path / "new",
    )
    first, second = ({n: d.to_json() for n, d in diagnose(question).items()} for _ in range(2))
    assert json.dumps(first, allow_nan=False) == json.dumps(second, allow_nan=False)


def test_where_all_latents_compete_some_tokens_are_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = activations()
    source = dictionary(tmp_path, "topk", k=16)
    monkeypatch.setattr(groups, "COMPETING_PRODUCTS", a.size * 64 / 3)
    turned = (a @ rotation()).astype(np.float32)
    found = diagnose(ask(latents(3), a, turned, {"sae": source}))
    assert {d.label for d in found.values()} == {"rotated"}
    found = diagnose(ask(latents(3), a, noisy(a), {"sae": source}))
    assert all("refitted" in d.figures for d in found.values())


def test_maps_are_fitted_on_enough_tokens_and_judged_on_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(moments, "FIT_TOKENS", 100)
    a = activations()
    found = diagnose(ask(readouts(), a, (a @ rotation()).astype(np.float32)))
    assert {d.label for d in found.values()} == {"rotated"}
    fold = moments.fitted_rows(np.zeros(1000, np.int8), 1)
    assert (fold == 0).sum() == 100


def test_a_site_without_activations_is_said_to_be_missing() -> None:
    a = activations(documents=4)
    elsewhere = [f.model_copy(update={"site": "blocks.2.hook_mlp_out"}) for f in readouts()]
    found = diagnose(ask(elsewhere, a, a))
    assert {d.label for d in found.values()} == {"unexplained"}
    assert "blocks.2.hook_mlp_out" in found["probe"].reason


def test_an_empty_sample_explains_nothing() -> None:
    a = activations(documents=0)
    found = diagnose(ask(readouts(), a, a))
    assert {d.label for d in found.values()} == {"unexplained"}


def test_another_width_is_said() -> None:
    a = activations(documents=4)
    found = diagnose(ask(readouts(), a, a[:, :-1]))
    assert "width" in found["probe"].reason


def test_a_temporal_dictionary_is_not_realigned(tmp_path: Path) -> None:
    a = activations(documents=4)
    found = diagnose(ask(latents(2), a, a, {"sae": dictionary(tmp_path, "temporal")}))
    assert {d.label for d in found.values()} == {"unexplained"}
    assert "whole sequences" in found["latent-0"].reason


def test_a_silent_latent_is_not_looked_for(tmp_path: Path) -> None:
    a = activations()
    silent = SaeLatent(name="silent", dictionary="sae", index=1, threshold=1e6)
    found = diagnose(ask([silent], a, noisy(a), {"sae": dictionary(tmp_path)}))
    assert found["silent"].label == "unexplained"
    assert "0 documents" in found["silent"].reason


def test_a_site_that_went_constant_has_lost_its_features() -> None:
    a = activations()
    found = diagnose(ask(readouts(), a, np.ones_like(a)))
    assert {d.label for d in found.values()} == {"lost"}


def test_a_probe_that_went_blind_is_not_called_equivalent_nor_rescaled() -> None:
    """Its values are what they were, or scaled; the tokens above its threshold are gone."""
    rng = np.random.default_rng(1)
    a = activations()
    read = rotation()[:, 0]
    values = a @ read
    fires = np.outer((rng.random(len(a)) < 0.003) * 6 * values.std(), read)
    bias = float(-values.mean() - 4 * values.std())
    probe = LinearProbe(
        kind="linear_probe", name="probe", site=SITE, weights=read.tolist(), bias=bias
    )
    before = (a + fires).astype(np.float32)
    blind = diagnose(ask([probe], before, a))["probe"]
    assert blind.label == "unexplained"
    assert "tokens above its threshold: firing rate ×0.0" in blind.reason
    scaled = diagnose(ask([probe], before, (0.75 * a).astype(np.float32)))["probe"]
    assert scaled.figures["site_scaled"]["estimates"]["rate"]["effect"] < -2
    assert scaled.label != "rescaled"
    silent = (0.75 * (a - 0.2 * np.outer(values, read))).astype(np.float32)
    refitted = diagnose(ask([probe], before, silent))["probe"]
    assert refitted.repair is None
    assert "more or less often" in refitted.figures["no_repair"]


def test_unknown_features_and_dictionaries_are_named() -> None:
    a = activations(documents=2)
    with pytest.raises(EvaluationError, match="nobody"):
        diagnose(replace(ask(readouts(), a, a), drifted=("nobody",)))
    with pytest.raises(EvaluationError, match="'sae'"):
        diagnose(ask(latents(1), a, a))


def test_without_a_folder_no_dictionary_is_written(tmp_path: Path) -> None:
    a = activations()
    found = diagnose(ask(latents(2), a, 2 * a, {"sae": dictionary(tmp_path)}))
    assert found["latent-0"].label == "rescaled"
    assert found["latent-0"].repair is None
    assert "folder" in found["latent-0"].figures["no_repair"]
