"""Ablation and steering do to the model what they say, and are measured where they say."""

from typing import Any

import numpy as np
import pytest
import torch

from app.registry.definitions import (
    Component,
    Composite,
    Direction,
    Feature,
    LinearProbe,
    Neuron,
    SaeLatent,
)
from tests.support.dictionaries import save_dictionary
from tests.support.models import WIDTH
from tests.worlds.causal.conftest import MakeModel
from workers.capture.tokenization import TokenizedCorpus
from workers.causal.handles import make_handles
from workers.causal.head import ModelWithHead
from workers.causal.interventions import Edit, EditedForward
from workers.causal.measure import measure
from workers.causal.measurement import CausalMeasurement
from workers.causal.sample import measurable, sample_sequences
from workers.causal.settings import CausalSettings
from workers.errors import EvaluationError
from workers.features.dictionaries import DictionarySource, load_dictionary

RESID = "blocks.1.hook_resid_post"
SETTINGS = CausalSettings(tokens=600, random_directions=2, steering_documents=6)


def vector(seed: int, width: int = WIDTH) -> tuple[float, ...]:
    return tuple(np.random.default_rng(seed).standard_normal(width).tolist())


@pytest.fixture(scope="module")
def sae(tmp_path_factory: pytest.TempPathFactory) -> DictionarySource:
    root = tmp_path_factory.mktemp("sae")
    folder = save_dictionary(root / "sae", "standard", normalize_activations="layer_norm")
    return load_dictionary("sae", str(folder), roots=[root], cache=root / "cache")


def logits_by_hand(
    model: ModelWithHead, ids: np.ndarray, block: int, delta: dict[int, np.ndarray]
) -> np.ndarray:
    """The next token's log-probabilities with vectors added behind a block, in plain PyTorch."""

    def hook(_module: Any, _args: Any, output: Any) -> Any:
        x = (output[0] if isinstance(output, tuple) else output).clone()
        for position, added in delta.items():
            x[0, position] += torch.from_numpy(added).float()
        return (x, *output[1:]) if isinstance(output, tuple) else x

    handle = model.base.module.layers[block].register_forward_hook(hook)
    with torch.no_grad():
        logits = model.module(input_ids=torch.from_numpy(ids.astype(np.int64))[None]).logits[0]
    handle.remove()
    return torch.log_softmax(logits.double(), dim=-1).numpy()


def residuals(model: ModelWithHead, ids: np.ndarray, block: int) -> np.ndarray:
    kept: list[torch.Tensor] = []
    handle = model.base.module.layers[block].register_forward_hook(
        lambda _m, _a, output: kept.append(output[0] if isinstance(output, tuple) else output)
    )
    with torch.no_grad():
        model.module(input_ids=torch.from_numpy(ids.astype(np.int64))[None])
    handle.remove()
    return kept[0][0].double().numpy()


def by_hand(
    model: ModelWithHead,
    tokens: TokenizedCorpus,
    contribution: Any,
    value: Any,
    threshold: float,
) -> dict[str, np.ndarray]:
    """Sums of an ablation at block 1, document by document, one sequence at a time."""
    sequences = sample_sequences(tokens, SETTINGS.tokens, SETTINGS.seed)
    x = {int(s): residuals(model, _ids(tokens, s), 1) for s in sequences}
    usable = {s: measurable(tokens, s) for s in x}
    on = {s: usable[s] & (value(x[s]) > threshold) for s in x}
    off = np.concatenate([value(x[s])[usable[s] & ~on[s]] for s in x])
    result = {name: np.zeros(tokens.documents) for name in ("tokens", "kl", "loss")}
    for s, rows in x.items():
        ids, document = _ids(tokens, s), tokens.document[s]
        delta = {int(t): -contribution(rows, off.mean())[t] for t in np.flatnonzero(on[s])}
        p, q = logits_by_hand(model, ids, 1, {}), logits_by_hand(model, ids, 1, delta)
        for t in delta:
            result["tokens"][document] += 1
            result["kl"][document] += (np.exp(p[t]) * (p[t] - q[t])).sum()
            result["loss"][document] += p[t, ids[t + 1]] - q[t, ids[t + 1]]
    return result


def _ids(tokens: TokenizedCorpus, sequence: int) -> np.ndarray:
    return tokens.ids[tokens.offsets[sequence] : tokens.offsets[sequence + 1]]


def assert_sums(found: CausalMeasurement, name: str, expected: dict[str, np.ndarray]) -> None:
    at = found.features.index(name)
    assert found.facts[name]["activity"] == "threshold"
    np.testing.assert_array_equal(found.tokens[at], expected["tokens"][found.documents])
    assert found.tokens[at].sum() > 20
    for field in ("kl", "loss"):
        np.testing.assert_allclose(
            getattr(found, field)[at], expected[field][found.documents], rtol=1e-3, atol=2e-5
        )


def test_removing_a_read_out_sets_its_projection_to_the_mean_where_it_is_off(
    model: MakeModel, tokens: TokenizedCorpus
) -> None:
    llama = model("llama")
    w = np.array(vector(1))
    probe = LinearProbe(name="p", site=RESID, weights=tuple(w), bias=0.3, threshold=0.5)
    found = measure(llama, tokens, [probe], {}, SETTINGS)
    unit = w / np.linalg.norm(w)

    def contribution(x: np.ndarray, off: float) -> np.ndarray:
        return np.outer(x @ unit - (off - 0.3) / np.linalg.norm(w), unit)

    assert_sums(found, "p", by_hand(llama, tokens, contribution, lambda x: x @ w + 0.3, 0.5))


def test_removing_a_latent_takes_what_it_adds_to_the_dictionarys_own_output(
    model: MakeModel, tokens: TokenizedCorpus, sae: DictionarySource
) -> None:
    from sae_lens import SAE

    llama, index = model("llama"), 3
    whole = SAE.load_from_disk(sae.path).double()

    def values(x: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return whole.encode(torch.from_numpy(x))[:, index].numpy()

    def contribution(x: np.ndarray, off: float) -> np.ndarray:
        with torch.no_grad():
            codes = whole.encode(torch.from_numpy(x))
            everything = whole.decode(codes)
            # Each way back needs its own way in.
            whole.encode(torch.from_numpy(x))
            codes[:, index] = 0
            return (everything - whole.decode(codes)).numpy()

    latent = SaeLatent(name="l", dictionary="sae", index=index, threshold=0.1)
    found = measure(llama, tokens, [latent], {"sae": sae}, SETTINGS)
    assert_sums(found, "l", by_hand(llama, tokens, contribution, values, 0.1))


def test_steering_sums_the_centred_shift_of_the_logits(
    model: MakeModel, tokens: TokenizedCorpus
) -> None:
    llama = model("llama")
    direction = Direction(name="d", site=RESID, vector=vector(2))
    found = measure(llama, tokens, [direction], {}, SETTINGS)
    unit = np.array(direction.vector) / np.linalg.norm(direction.vector)
    document = int(found.steered_documents[2])
    sequence = next(
        s
        for s in sample_sequences(tokens, SETTINGS.tokens, 0).tolist()
        if tokens.document[s] == document
    )
    ids, usable = _ids(tokens, sequence), np.flatnonzero(measurable(tokens, sequence))
    added = {int(t): unit * found.facts["d"]["size"] for t in usable}
    # Differences of log-probabilities are those of logits up to a constant per token.
    shift = logits_by_hand(llama, ids, 1, added) - logits_by_hand(llama, ids, 1, {})
    total = (shift - shift.mean(axis=1, keepdims=True))[usable].sum(axis=0)
    np.testing.assert_allclose(found.steered[0, 2], total, rtol=1e-3, atol=1e-3)
    assert found.steered_tokens[0, 2] == len(usable)


@pytest.mark.parametrize("family", ["gpt2", "llama", "gpt_neox", "gemma2", "qwen3"])
@pytest.mark.parametrize(
    "site",
    [
        "blocks.1.hook_resid_pre",
        "blocks.1.hook_resid_post",
        "blocks.1.attn.hook_z",
        "blocks.1.mlp.hook_post",
        "blocks.1.hook_mlp_out",
        "blocks.1.hook_attn_out",
    ],
)
def test_every_site_is_replaced_in_its_own_row_and_from_its_token_on(
    model: MakeModel, family: str, site: str
) -> None:
    from workers.capture.forward import SiteReader

    network = model(family)
    width = SiteReader(network.base, [site]).widths[site]
    unit = torch.from_numpy(np.array(vector(4, width), dtype=np.float32))
    edit = Edit(site, torch.tensor([3]), torch.tensor([2.0]), unit)
    ids, everywhere = torch.arange(40, 50), torch.arange(10)
    forward = EditedForward(network, [site])
    logits = forward.logits(ids, [None, edit, None], [everywhere] * 3).reshape(3, 10, -1)
    with torch.no_grad():
        plain = network.module(input_ids=ids[None]).logits[0]
    torch.testing.assert_close(logits[0], plain, rtol=1e-4, atol=1e-4)
    for row, upto in ((2, 10), (1, 3)):
        torch.testing.assert_close(logits[0, :upto], logits[row, :upto], rtol=0, atol=1e-5)
    assert (logits[0, 3] - logits[1, 3]).abs().max() > 1e-3


def test_the_same_measurement_gives_the_same_bytes_and_reads_back(
    model: MakeModel, tokens: TokenizedCorpus
) -> None:
    features: list[Feature] = [
        Direction(name="d", site=RESID, vector=vector(5)),
        Neuron(name="n", site="blocks.0.mlp.hook_post", index=2),
    ]
    first = measure(model("llama"), tokens, features, {}, SETTINGS).to_bytes()
    assert first == measure(model("llama"), tokens, features, {}, SETTINGS).to_bytes()
    read = CausalMeasurement.from_bytes(first)
    assert read.to_bytes() == first
    assert read.features == ("d", "n")


def test_other_batch_sizes_change_rounding_alone(model: MakeModel, tokens: TokenizedCorpus) -> None:
    feature = Direction(name="d", site=RESID, vector=vector(5))
    small = CausalSettings(tokens=600, random_directions=2, steering_documents=6, batch_tokens=50)
    first, second = (
        measure(model("llama"), tokens, [feature], {}, settings) for settings in (SETTINGS, small)
    )
    np.testing.assert_array_equal(first.tokens, second.tokens)
    np.testing.assert_allclose(first.random_kl, second.random_kl, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(first.inactive_kl, second.inactive_kl, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(first.steered, second.steered, rtol=1e-3, atol=1e-3)


def test_logits_that_do_not_fit_at_once_are_read_in_parts(
    model: MakeModel, tokens: TokenizedCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    feature = Direction(name="d", site=RESID, vector=vector(5))
    whole = measure(model("llama"), tokens, [feature], {}, SETTINGS)
    monkeypatch.setattr("workers.causal.measure._LOGITS_AT_ONCE", 300 * 2 * 15)
    parts = measure(model("llama"), tokens, [feature], {}, SETTINGS)
    np.testing.assert_array_equal(whole.tokens, parts.tokens)
    np.testing.assert_array_equal(whole.steered_tokens, parts.steered_tokens)
    np.testing.assert_allclose(whole.kl, parts.kl, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(whole.steered, parts.steered, rtol=1e-3, atol=1e-3)


def test_where_a_threshold_splits_nothing_the_top_decile_stands_in(
    model: MakeModel, tokens: TokenizedCorpus
) -> None:
    feature = Direction(name="d", site=RESID, vector=vector(6), threshold=1e6)
    facts = measure(model("llama"), tokens, [feature], {}, SETTINGS).facts["d"]
    assert facts["activity"] == "top_decile"
    assert facts["active_tokens"] == pytest.approx(facts["tokens"] / 10, abs=2)


def test_features_without_a_direction_or_never_on_say_so(
    model: MakeModel, tokens: TokenizedCorpus, sae: DictionarySource
) -> None:
    features: list[Feature] = [
        Neuron(name="n", site=RESID, index=0),
        Composite(name="c", operation="sum", components=(Component(feature="n"),)),
        SaeLatent(name="l", dictionary="sae", index=1, threshold=1e6),
        LinearProbe(name="zero", site=RESID, weights=(0.0,) * WIDTH),
    ]
    found = measure(model("llama"), tokens, features, {"sae": sae}, SETTINGS)
    assert found.features == ("n", "c", "l", "zero")
    assert "composite" in found.facts["c"]["reason"]
    assert "all zeros" in found.facts["zero"]["reason"]
    assert found.facts["l"]["silent"]
    assert found.tokens[0].sum() > 0
    assert not found.tokens[1:].any()


def test_only_composites_need_no_pass(model: MakeModel, tokens: TokenizedCorpus) -> None:
    only = Composite(name="c", operation="max", components=(Component(feature="elsewhere"),))
    found = measure(model("llama"), tokens, [only], {}, SETTINGS)
    assert found.facts["c"]["reason"]
    assert CausalMeasurement.from_bytes(found.to_bytes()).tokens.shape == (1, 0)


def test_a_transcoder_is_removed_where_it_writes(tmp_path: Any) -> None:
    folder = save_dictionary(tmp_path / "t", "transcoder", site="blocks.1.hook_resid_pre")
    source = load_dictionary("t", str(folder), roots=[tmp_path], cache=tmp_path / "cache")
    latent = SaeLatent(name="l", dictionary="t", index=1)
    handles, reasons = make_handles([latent], {"t": source}, {})
    assert not handles
    assert "hook_name_out" in reasons["l"]


def test_progress_is_told_and_may_stop_the_work(model: MakeModel, tokens: TokenizedCorpus) -> None:
    seen: list[tuple[int, int]] = []

    def stop(done: int, total: int) -> None:
        seen.append((done, total))
        if done == 2:
            raise InterruptedError

    feature = Neuron(name="n", site=RESID, index=0)
    with pytest.raises(InterruptedError):
        measure(model("llama"), tokens, [feature], {}, SETTINGS, stop)
    assert seen == sorted(seen)
    assert {done for done, _ in seen} == {0, 1, 2}
    assert len({total for _, total in seen}) == 1


def test_a_feature_of_another_width_is_refused_by_name(
    model: MakeModel, tokens: TokenizedCorpus
) -> None:
    feature = Direction(name="wide", site=RESID, vector=vector(1, WIDTH + 1))
    with pytest.raises(EvaluationError, match=r"'wide' has 17 entries"):
        measure(model("llama"), tokens, [feature], {}, SETTINGS)


@pytest.mark.parametrize(
    "wrong",
    [{"tokens": 0}, {"random_directions": 0}, {"strength": 0.0}, {"strength": float("inf")}],
)
def test_settings_out_of_range_are_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        CausalSettings(**wrong)


def test_a_damaged_file_is_refused() -> None:
    with pytest.raises(EvaluationError, match="causal_corrupt"):
        CausalMeasurement.from_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00 no safetensors")


def test_the_sample_takes_every_document_before_any_twice(tokens: TokenizedCorpus) -> None:
    order = sample_sequences(tokens, 10**9, 0)
    assert len(set(order.tolist())) == len(order) == (tokens.lengths > 1).sum()
    owners = tokens.document[order]
    assert len(set(owners[: tokens.documents].tolist())) == tokens.documents
    few = sample_sequences(tokens, 200, 0)
    assert few.tolist() == order[: len(few)].tolist()
    assert tokens.lengths[few[:-1]].sum() < 200 <= tokens.lengths[few].sum()
