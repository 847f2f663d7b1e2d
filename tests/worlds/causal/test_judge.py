"""Verdicts on features of known effect, and the drift of an effect of known size."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from app.registry.definitions import Direction, Feature, Neuron
from tests.support.models import WIDTH
from tests.worlds.causal.conftest import MakeModel
from workers.capture.tokenization import TokenizedCorpus
from workers.causal.estimates import cosine, ratio
from workers.causal.judge import judge
from workers.causal.measure import measure
from workers.causal.measurement import CausalMeasurement, empty_measurement
from workers.causal.settings import CausalSettings
from workers.errors import EvaluationError

SETTINGS = CausalSettings(tokens=2000, random_directions=8, steering_documents=16)
LAST = "blocks.2.hook_resid_post"
NEURONS = "blocks.2.mlp.hook_post"
SUMS = (
    *("tokens", "kl", "loss", "random_kl", "random_loss"),
    *("inactive_tokens", "inactive_kl", "inactive_loss"),
)


def each(tokens: TokenizedCorpus) -> np.ndarray:
    return np.arange(tokens.documents)


def writes(network: Any) -> None:
    """Neuron 1 writes loudly, neuron 2 writes nothing."""
    with torch.no_grad():
        down = network.model.layers[2].mlp.down_proj.weight
        down[:, 1] *= 4
        down[:, 2] = 0


def writes_less(network: Any) -> None:
    """The same with neuron 1 silenced."""
    writes(network)
    with torch.no_grad():
        network.model.layers[2].mlp.down_proj.weight[:, 1] *= 0.1


def test_a_neuron_that_writes_is_causal_and_one_that_writes_nothing_is_not(
    model: MakeModel, tokens: TokenizedCorpus
) -> None:
    features = [Neuron(name=f"n{i}", site=NEURONS, index=i) for i in (1, 2)]
    found = measure(model("llama", writes), tokens, features, {}, SETTINGS)
    verdicts = judge(None, found, each(tokens))
    loud, mute = verdicts["n1"], verdicts["n2"]
    assert loud["verdict"] == "causal"
    assert 0 < loud["lower"] < loud["effect"] < loud["upper"]
    assert loud["ratio_lower"] > 1
    assert mute["verdict"] == "correlational"
    assert abs(mute["kl"]) < 1e-6 < mute["random_effect"]
    assert mute["upper"] < mute["margin"]


def test_what_layer_normalisation_takes_out_is_correlational(
    model: MakeModel, tokens: TokenizedCorpus
) -> None:
    # GPT-2's last norm subtracts the mean over coordinates: the direction of ones reaches nothing.
    ones = Direction(name="ones", site=LAST, vector=(1.0,) * WIDTH)
    found = measure(model("gpt2"), tokens, [ones], {}, SETTINGS)
    verdict = judge(found, found, each(tokens))["ones"]
    assert verdict["verdict"] == "correlational"
    assert abs(verdict["kl"]) < 1e-6


def test_a_random_direction_is_seldom_called_causal(
    model: MakeModel, tokens: TokenizedCorpus
) -> None:
    rng = np.random.default_rng(11)
    features: list[Feature] = [
        Direction(name=f"r{i}", site=LAST, vector=tuple(rng.standard_normal(WIDTH).tolist()))
        for i in range(12)
    ]
    settings = replace(SETTINGS, random_directions=4, steering_documents=1)
    verdicts = judge(None, measure(model("llama"), tokens, features, {}, settings), each(tokens))
    causal = [name for name, found in verdicts.items() if found["verdict"] == "causal"]
    # 2.5% on one side: more than 2 of 12 with probability .003.
    assert len(causal) <= 2


def test_an_effect_that_fades_is_found_and_the_same_weights_change_nothing(
    model: MakeModel, tokens: TokenizedCorpus
) -> None:
    feature = Neuron(name="n", site=NEURONS, index=1)
    before = measure(model("llama", writes), tokens, [feature], {}, SETTINGS)
    after = measure(model("llama", writes_less), tokens, [feature], {}, SETTINGS)
    found = judge(before, after, each(tokens))["n"]
    assert found["drift"]["changed"]
    assert found["drift"]["upper"] < 0
    assert found["drift"]["difference"] == pytest.approx(
        found["effect"] - found["drift"]["baseline"]
    )
    same = judge(before, before, each(tokens))["n"]
    assert (same["drift"]["difference"], same["drift"]["lower"], same["drift"]["upper"]) == (0,) * 3
    assert same["drift"]["changed"] is False
    steering = same["steering_cosine"]
    assert (steering["cosine"], steering["lower"], steering["upper"]) == (1, 1, 1)


def test_steering_turned_round_has_a_cosine_of_minus_one(
    model: MakeModel, tokens: TokenizedCorpus
) -> None:
    rng = np.random.default_rng(2)
    vector = tuple(rng.standard_normal(WIDTH).tolist())
    feature = Direction(name="d", site=LAST, vector=vector)
    before = measure(model("llama"), tokens, [feature], {}, SETTINGS)
    turned = replace(before, steered=-before.steered)
    assert judge(before, turned, each(tokens))["d"]["steering_cosine"]["upper"] < -0.999


def made(
    tokens: np.ndarray, kl: np.ndarray, random_kl: np.ndarray, **facts: Any
) -> CausalMeasurement:
    """A measurement of one feature from its sums per document."""
    documents, directions = len(tokens), len(random_kl)
    flat = np.zeros((1, documents))
    empty = empty_measurement({"f": ""}, {}, directions=directions)
    return replace(
        empty,
        facts={"f": {"reason": None, "site": "s", "activity": "threshold"} | facts},
        documents=np.arange(documents),
        tokens=tokens[None],
        kl=kl[None],
        loss=kl[None],
        random_kl=random_kl[None],
        random_loss=random_kl[None],
        inactive_tokens=flat,
        inactive_kl=flat,
        inactive_loss=flat,
    )


def simulated(
    rng: np.random.Generator, mean: float, documents: int = 60, spread: float = 0.3
) -> CausalMeasurement:
    tokens = rng.integers(1, 20, documents).astype(float)
    level = rng.gamma(4, 0.25, documents)
    directions = np.exp(rng.normal(0, spread, 4))[:, None]
    noise = rng.gamma(8, 1 / 8, (5, documents))
    return made(tokens, tokens * level * mean * noise[0], tokens * level * directions * noise[1:])


def verdicts_of(means: list[float], seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [judge(None, simulated(rng, m), np.arange(60))["f"]["verdict"] for m in means]


def test_null_features_are_seldom_causal_and_strong_ones_mostly() -> None:
    rng = np.random.default_rng(5)
    null = verdicts_of(np.exp(rng.normal(0, 0.3, 400)).tolist(), 6)
    # 2.5% on one side: 400 draws give at most 19 with probability .998.
    assert null.count("causal") <= stats.binom.ppf(0.998, 400, 0.025)
    assert verdicts_of([10.0] * 100, 7).count("causal") >= 95
    assert verdicts_of([0.01] * 100, 8).count("correlational") >= 95
    # Twice the random directions' effect is the margin itself.
    assert verdicts_of([2.0] * 400, 9).count("correlational") <= stats.binom.ppf(0.998, 400, 0.025)


def test_a_documents_sums_count_once_for_its_group() -> None:
    rng = np.random.default_rng(1)
    single = simulated(rng, 8.0)
    doubled = replace(
        single,
        documents=np.arange(120),
        **{name: np.repeat(getattr(single, name), 2, axis=-1) / 2 for name in SUMS},
    )
    one = judge(None, single, np.arange(60))["f"]
    two = judge(None, doubled, np.repeat(np.arange(60), 2))["f"]
    assert two["clusters"] == 60
    for key in ("effect", "lower", "upper", "ratio_lower"):
        assert two[key] == pytest.approx(one[key])
    assert judge(None, doubled, np.arange(120))["f"]["lower"] > one["lower"]


def test_nothing_that_moves_at_all_is_not_shown() -> None:
    zeros = np.zeros(30)
    found = judge(None, made(np.ones(30), zeros, np.zeros((4, 30))), np.arange(30))["f"]
    assert found["verdict"] == "not_shown"
    assert "could not have been shown" in found["reason"]


@pytest.mark.parametrize(
    ("documents", "directions", "reason"),
    [(5, 4, "On in 5 documents"), (30, 1, "one random direction")],
)
def test_too_little_to_tell_is_not_shown(documents: int, directions: int, reason: str) -> None:
    ones = np.ones(documents)
    found = made(ones, ones * 9, np.ones((directions, documents)))
    verdict = judge(None, found, np.arange(documents))["f"]
    assert verdict["verdict"] == "not_shown"
    assert reason in verdict["reason"]


def test_features_that_could_not_be_measured_say_why() -> None:
    nothing = empty_measurement({"a": "An encoder.", "b": "Never on."}, {}, directions=4)
    silent: Mapping[str, Any] = {"reason": "Never on.", "silent": True}
    found = judge(
        nothing, replace(nothing, facts={**nothing.facts, "b": silent}), np.zeros(3, dtype=int)
    )
    assert found["a"] == {"verdict": "not_applicable", "reason": "An encoder."}
    assert found["b"]["verdict"] == "not_shown"


def test_what_cannot_be_paired_has_no_drift_and_says_why() -> None:
    rng = np.random.default_rng(4)
    one = simulated(rng, 5.0)
    other = replace(one, facts={"f": {**one.facts["f"], "activity": "top_decile"}})
    found = judge(other, one, np.arange(60))["f"]
    assert found["drift"]["changed"] is None
    assert "top decile" in found["drift"]["reason"]
    gone = empty_measurement({"f": "Saved without its head."}, {}, directions=4)
    assert "without its head" in judge(gone, one, np.arange(60))["f"]["drift"]["reason"]
    steered = replace(one, tokenizer_digest="other", steered=np.ones((1, 0, 0), np.float32))
    assert "tokenizers" in judge(steered, one, np.arange(60))["f"]["steering_cosine"]["reason"]


def test_measurements_that_do_not_belong_together_are_refused() -> None:
    rng = np.random.default_rng(4)
    one = simulated(rng, 5.0)
    with pytest.raises(EvaluationError, match="different causal settings"):
        judge(replace(one, settings={"tokens": 1}), one, np.arange(60))
    with pytest.raises(EvaluationError, match="document 59"):
        judge(None, one, np.arange(59))


def test_a_ratio_of_equal_clusters_has_the_textbook_t_interval() -> None:
    x = np.random.default_rng(0).normal(3, 1, 25)
    lower, upper = ratio(x, np.ones(25)).interval(0.05)
    expected = stats.t.interval(0.95, 24, x.mean(), stats.sem(x))
    np.testing.assert_allclose((lower, upper), expected)


def test_the_cosines_interval_covers() -> None:
    rng = np.random.default_rng(12)
    a, b = rng.standard_normal((2, 30))
    truth = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    covered = 0
    for _ in range(300):
        found = cosine(
            a + 0.5 * rng.standard_normal((40, 30)), b + 0.5 * rng.standard_normal((40, 30)), 0.05
        )
        assert found is not None
        covered += found[1] <= truth <= found[2]
    assert covered >= stats.binom.ppf(0.001, 300, 0.95)
