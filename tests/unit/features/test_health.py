"""SAE health: equal to SAELens's own reconstruction, additive, and honest where it cannot tell."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sae_lens import SAE
from scipy.sparse import csr_array

from tests.support.dictionaries import ARCHITECTURES
from workers.errors import EvaluationError
from workers.features.dictionaries import TRANSCODERS, DictionarySource
from workers.features.health import HealthMeter, HealthSums, merge_health, sample_tokens

CPU = torch.device("cpu")
LENGTHS = (7, 20, 3)
SITE = "blocks.1.hook_resid_post"
MakeDictionary = Callable[..., DictionarySource]
SAES = [
    *((name, {}) for name in ARCHITECTURES if name not in TRANSCODERS),
    ("topk", {"rescale_acts_by_decoder_norm": True}),
    ("standard", {"normalize_activations": "layer_norm"}),
    ("jumprelu", {"normalize_activations": "constant_norm_rescale"}),
    ("matching_pursuit", {"apply_b_dec_to_input": False}),
    ("temporal", {"tied_weights": False}),
]


def activations(seed: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(sum(LENGTHS), 16, generator=generator) * 2 + 1


def measure(source: DictionarySource, x: torch.Tensor, kept: Any = None, **sites: Any) -> Any:
    """Health over one batch in which every kept token is sampled."""
    kept = np.ones(len(x), dtype=np.bool_) if kept is None else kept
    meter = HealthMeter(source, CPU, 16 if sites else None)
    meter.update(
        {SITE: x, **sites},
        LENGTHS,
        codes=None,
        norms=x.norm(dim=-1).numpy(),
        kept=kept,
        sampled=kept,
        outliers=int((~kept).sum()),
    )
    return meter.sums


@pytest.mark.parametrize(("architecture", "options"), SAES)
def test_fvu_l0_and_dead_share_are_those_of_the_full_dictionary(
    architecture: str, options: dict[str, Any], dictionary: MakeDictionary
) -> None:
    source = dictionary(architecture, **options)
    x = activations()
    sae = SAE.load_from_disk(source.path)
    with torch.no_grad():
        # Only a temporal SAE looks past its own token, and it takes one sequence at a time.
        parts = [part[None] for part in x.split(list(LENGTHS))]
        codes = torch.cat([sae.encode(part)[0] for part in parts])
        output = torch.cat([sae(part)[0] for part in parts])
    fvu = ((x - output) ** 2).sum() / ((x - x.mean(0)) ** 2).sum()
    if architecture == "temporal":
        meter = HealthMeter(source, CPU, None)
        everything = np.ones(len(x), dtype=np.bool_)
        meter.update(
            {SITE: x},
            LENGTHS,
            codes=csr_array(codes.numpy()),
            norms=x.norm(dim=-1).numpy(),
            kept=everything,
            sampled=everything,
            outliers=0,
        )
        health = meter.sums.finalise()
    else:
        health = measure(source, x).finalise()
    assert health["fvu"] == pytest.approx(float(fvu), rel=1e-4)
    assert health["explained_variance"] == pytest.approx(1 - float(fvu), rel=1e-4, abs=1e-4)
    assert health["l0"] == pytest.approx(float((codes != 0).sum(1).float().mean()))
    assert health["dead_ratio"] == pytest.approx(float((codes == 0).all(0).float().mean()))
    assert health["norm_mean"] == pytest.approx(float(x.norm(dim=-1).mean()), rel=1e-5)
    assert health["tokens"] == health["latent_tokens"] == len(x)


@pytest.mark.parametrize("architecture", sorted(TRANSCODERS))
def test_a_transcoder_has_an_fvu_only_against_its_output_site(
    architecture: str, dictionary: MakeDictionary
) -> None:
    source = dictionary(architecture)
    x = activations()
    alone = measure(source, x).finalise()
    assert alone["fvu"] is None
    assert alone["explained_variance"] is None
    assert alone["l0"] > 0
    target = "blocks.1.hook_mlp_out"
    y = activations(seed=9)
    paired = DictionarySource(**{**vars(source), "output_site": target})
    health = measure(paired, x, **{target: y}).finalise()
    with torch.no_grad():
        output = SAE.load_from_disk(source.path)(x)
    fvu = ((y - output) ** 2).sum() / ((y - y.mean(0)) ** 2).sum()
    assert health["fvu"] == pytest.approx(float(fvu), rel=1e-4)


def test_masked_tokens_count_only_as_outliers(dictionary: MakeDictionary) -> None:
    source = dictionary("standard")
    x = activations()
    kept = np.ones(len(x), dtype=np.bool_)
    kept[[0, 7]] = False
    spoiled = x.clone()
    spoiled[~torch.from_numpy(kept)] *= 1000
    clean, masked = measure(source, x, kept).finalise(), measure(source, spoiled, kept).finalise()
    assert masked == clean
    assert masked["outlier_tokens"] == 2
    assert measure(source, spoiled).finalise()["norm_mean"] > 10 * clean["norm_mean"]


def test_sums_merge_to_the_same_figures_however_they_are_split(dictionary: MakeDictionary) -> None:
    source = dictionary("jumprelu")
    sums = [measure(source, activations(seed)) for seed in range(7)]

    def merged(*groups: list[HealthSums]) -> Any:
        parts = []
        for group in groups:
            total = group[0]
            for later in group[1:]:
                total = total.merge(later)
            parts.append((total.to_tensors("sae.with.dots"), {}))
        return merge_health(parts)

    whole = merged(sums)
    assert whole == merged(sums[:1], sums[1:5], sums[5:]) == merged(*[[part] for part in sums])
    assert list(whole) == ["sae.with.dots"]
    assert whole["sae.with.dots"]["tokens"] == 7 * sum(LENGTHS)


def test_a_constant_site_has_no_fvu(dictionary: MakeDictionary) -> None:
    assert measure(dictionary("standard"), torch.ones(30, 16)).finalise()["fvu"] is None


def test_a_decoder_that_is_not_finite_is_refused(dictionary: MakeDictionary, tmp_path: Any) -> None:
    source = dictionary("standard")
    sae = SAE.load_from_disk(source.path)
    sae.W_dec.data[:] = torch.nan
    sae.save_model(source.path)
    with pytest.raises(EvaluationError, match=r"W_dec .* NaN") as failure:
        measure(source, activations())
    assert failure.value.code == "dictionary_not_finite"


def test_the_sample_is_decided_by_documents_and_positions_alone() -> None:
    documents = np.repeat(np.arange(200), 300).astype(np.int32)
    special = np.zeros(len(documents), dtype=np.bool_)
    special[::300] = True
    sample = sample_tokens(documents, special)
    assert sample.sum() == (len(documents) - 200) // 32
    assert not sample[special].any()
    # Spread over all documents, not the first ones.
    assert np.bincount(documents[sample], minlength=200).min() > 0
    np.testing.assert_array_equal(sample, sample_tokens(documents.copy(), special.copy()))


def test_a_small_corpus_is_sampled_whole() -> None:
    documents = np.repeat(np.arange(4), 10).astype(np.int32)
    assert sample_tokens(documents, np.zeros(40, dtype=np.bool_)).all()
