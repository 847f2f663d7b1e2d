"""Every architecture that SAELens can encode with gives SAELens's own latents."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from sae_lens import SAE

from app.registry.definitions import SaeLatent
from tests.support.dictionaries import ARCHITECTURES
from workers.features import encoders
from workers.features.dictionaries import PER_LATENT, DictionarySource
from workers.features.plan import FeaturePlan

CPU = torch.device("cpu")
LENGTHS = (7, 20, 3)
SITE = "blocks.1.hook_resid_post"
MakeDictionary = Callable[..., DictionarySource]

# Whatever SAELens's configuration can ask of an encoder.
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((architecture, {}) for architecture in ARCHITECTURES),
    *(
        (architecture, {"normalize_activations": normalisation})
        for architecture in ("standard", "jumprelu", "topk", "gated", "transcoder")
        for normalisation in ("constant_norm_rescale", "layer_norm", "expected_average_only_in")
    ),
    ("standard", {"apply_b_dec_to_input": False}),
    ("topk", {"rescale_acts_by_decoder_norm": True}),
    ("abstopk", {"rescale_acts_by_decoder_norm": True}),
    ("temporal", {"sae_diff_type": "relu"}),
    ("temporal", {"tied_weights": False}),
    (
        "temporal",
        {"normalize_activations": "constant_scalar_rescale", "activation_normalization_factor": 2},
    ),
    ("standard", {"dtype": "bfloat16"}),
]


def activations(width: int = 16) -> torch.Tensor:
    """[30, width], unlike in scale."""
    generator = torch.Generator().manual_seed(3)
    return torch.randn(sum(LENGTHS), width, generator=generator) * 2


def saelens_encode(source: DictionarySource, x: torch.Tensor, lengths: Sequence[int]) -> Any:
    """What `SAE.encode` gives, sequence by sequence where context counts."""
    sae = SAE.load_from_disk(source.path)
    with torch.no_grad():
        if source.architecture == "temporal":
            parts = [sae.encode(part[None])[0] for part in x.split(list(lengths))]
            return torch.cat(parts).float().numpy()
        return sae.encode(x).float().numpy()


@pytest.mark.parametrize(("architecture", "options"), VARIANTS)
def test_all_latents_equal_the_full_encode(
    architecture: str, options: dict[str, Any], dictionary: MakeDictionary
) -> None:
    source = dictionary(architecture, **options)
    x = activations()
    expected = saelens_encode(source, x, LENGTHS)
    assert 0 < np.count_nonzero(expected) < expected.size
    values = (
        FeaturePlan.whole_dictionary(source)
        .evaluator({SITE: 16}, CPU)
        .evaluate({SITE: x}, LENGTHS)
        .sparse
    )
    tolerance = 2e-2 if "dtype" in options else 1e-5
    np.testing.assert_allclose(values.toarray(), expected, rtol=tolerance, atol=tolerance)
    assert values.data.all()
    assert values.has_sorted_indices


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_watched_latents_equal_their_columns_of_the_full_encode(
    architecture: str, dictionary: MakeDictionary
) -> None:
    source = dictionary(architecture)
    x = activations()
    watched = [40, 3, 63, 0, 3]
    features = [
        SaeLatent(name=f"f{at}", dictionary="sae", index=index) for at, index in enumerate(watched)
    ]
    plan = FeaturePlan.build(features, {"sae": source})
    values = plan.evaluator({SITE: 16}, CPU).evaluate({SITE: x}, LENGTHS)
    expected = saelens_encode(source, x, LENGTHS)[:, watched]
    np.testing.assert_allclose(values.sparse.toarray(), expected, rtol=1e-5, atol=1e-5)
    assert values.dense.shape == (len(x), 0)


@pytest.mark.parametrize("architecture", ["standard", "jumprelu", "gated", "topk", "abstopk"])
def test_blocks_of_any_size_give_the_same_latents(
    architecture: str, dictionary: MakeDictionary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoders, "_BLOCK", 9)
    monkeypatch.setattr(encoders, "_ROWS", 4)
    source = dictionary(architecture)
    x = activations()
    encoder, everything = encoders.make_encoder(source, CPU)
    assert everything
    np.testing.assert_allclose(
        encoder.encode(x, LENGTHS).toarray(),
        saelens_encode(source, x, LENGTHS),
        rtol=1e-5,
        atol=1e-5,
    )


@pytest.mark.parametrize("architecture", ["standard", "jumprelu", "gated", "topk"])
def test_an_encoder_too_large_for_memory_is_paged_in_and_gives_the_same(
    architecture: str, dictionary: MakeDictionary, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = dictionary(architecture)
    x = activations()
    resident, _ = encoders.make_encoder(source, CPU)
    monkeypatch.setattr(encoders, "_RESIDENT_BYTES", 0)
    paged, _ = encoders.make_encoder(source, CPU)
    expected = resident.encode(x, LENGTHS).toarray()
    np.testing.assert_array_equal(paged.encode(x, LENGTHS).toarray(), expected)


def test_heads_side_by_side_equal_saelens_on_separate_heads(dictionary: MakeDictionary) -> None:
    site = "blocks.1.attn.hook_z"
    source = dictionary("standard", site=site, reshape_activations="hook_z")
    x = activations()
    sae = SAE.load_from_disk(source.path)
    expected = sae.encode(x.reshape(len(x), 4, 4)).detach().numpy()
    values = (
        FeaturePlan.whole_dictionary(source).evaluator({site: 16}, CPU).evaluate({site: x}, LENGTHS)
    )
    np.testing.assert_allclose(values.sparse.toarray(), expected, rtol=1e-5, atol=1e-5)


def test_watched_latents_hold_only_their_own_columns(dictionary: MakeDictionary) -> None:
    source = dictionary("jumprelu", d_sae=4096)
    encoder, everything = encoders.make_encoder(source, CPU, np.array([5, 4000]))
    assert isinstance(encoder, encoders.PerLatentEncoder)
    assert not everything
    held = [
        value
        for block in encoder._resident or ()
        for value in vars(block).values()
        if isinstance(value, torch.Tensor)
    ]
    # Views would keep all columns alive.
    assert sum(tensor.untyped_storage().nbytes() for tensor in held) == 2 * (16 + 1 + 1) * 4


def test_every_per_latent_architecture_is_one_that_saelens_has() -> None:
    assert set(ARCHITECTURES) >= PER_LATENT
