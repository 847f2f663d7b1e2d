"""Feature plans: every kind's value, and every definition that cannot be evaluated."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sae_lens import SAE

from app.registry.definitions import (
    Component,
    Composite,
    Direction,
    LinearProbe,
    Neuron,
    SaeLatent,
)
from tests.support.dictionaries import save_dictionary
from workers.errors import EvaluationError
from workers.features.dictionaries import DictionarySource, load_dictionary
from workers.features.plan import FeaturePlan

CPU = torch.device("cpu")
SITE, OTHER = "blocks.1.hook_resid_post", "blocks.0.hook_mlp_out"
WIDTHS = {SITE: 16, OTHER: 8}
MakeDictionary = Callable[..., DictionarySource]


@pytest.fixture
def activations() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    return {s: torch.randn(40, w, generator=generator) * 2 for s, w in WIDTHS.items()}


def latent(name: str, index: int, dictionary: str = "sae", **more: Any) -> SaeLatent:
    return SaeLatent(name=name, dictionary=dictionary, index=index, **more)


def evaluate(features: Any, dictionaries: Any, activations: Any) -> dict[str, np.ndarray]:
    """Each feature's values [T], by name."""
    plan = FeaturePlan.build(features, dictionaries)
    widths = {site: WIDTHS[site] for site in plan.sites}
    values = plan.evaluator(widths, CPU).evaluate(activations, [40])
    sparse = values.sparse.toarray()
    return {
        **{c.name: sparse[:, at] for at, c in enumerate(plan.columns.sparse)},
        **{c.name: values.dense[:, at] for at, c in enumerate(plan.columns.dense)},
    }


def test_each_kind_has_the_value_of_its_definition(
    dictionary: MakeDictionary, activations: dict[str, torch.Tensor]
) -> None:
    source = dictionary("standard")
    rng = np.random.default_rng(0)
    w, v, c = rng.normal(size=16), rng.normal(size=16) * 7, rng.normal(size=16)
    values = evaluate(
        [
            LinearProbe(name="probe", site=SITE, weights=tuple(w), bias=0.5),
            latent("latent", 9),
            Direction(name="direction", site=SITE, vector=tuple(v), center=tuple(c)),
            Direction(name="plain", site=SITE, vector=tuple(v)),
            Neuron(name="neuron", site=OTHER, index=7),
        ],
        {"sae": source},
        activations,
    )
    x = activations[SITE].double().numpy()
    unit = v / np.linalg.norm(v)
    expected = {
        "probe": x @ w + 0.5,
        "direction": (x - c) @ unit,
        "plain": x @ unit,
        "neuron": activations[OTHER].numpy()[:, 7],
        "latent": SAE.load_from_disk(source.path).encode(activations[SITE])[:, 9].detach().numpy(),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(values[name], value, rtol=1e-5, atol=1e-5, err_msg=name)


@pytest.mark.parametrize(
    ("operation", "combine"), [("sum", np.sum), ("max", np.max), ("min", np.min)]
)
@pytest.mark.parametrize("weights", [(2.0, 1.0, 0.5), (1.0, -1.0, 2.0)])
def test_a_composite_joins_features_across_sites(
    operation: Any,
    combine: Any,
    weights: tuple[float, ...],
    dictionary: MakeDictionary,
    activations: dict[str, torch.Tensor],
) -> None:
    parts = [latent("a", 3), latent("b", 30), Neuron(name="n", site=OTHER, index=1)]
    components = tuple(
        Component(feature=f.name, weight=w) for f, w in zip(parts, weights, strict=True)
    )
    # Composites may come before what they are made of, and be made of composites.
    outer = Composite(
        name="outer", operation="sum", components=(Component(feature="inner", weight=3.0),)
    )
    inner = Composite(name="inner", operation=operation, components=components)
    values = evaluate([outer, inner, *parts], {"sae": dictionary("jumprelu")}, activations)
    stacked = np.stack(
        [w * values[f.name].astype(np.float64) for f, w in zip(parts, weights, strict=True)]
    )
    np.testing.assert_allclose(values["inner"], combine(stacked, axis=0), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(values["outer"], 3 * values["inner"], rtol=1e-6)


def test_what_cannot_be_negative_is_stored_sparse(dictionary: MakeDictionary) -> None:
    def joined(name: str, *parts: tuple[str, float], operation: Any = "sum") -> Composite:
        components = tuple(Component(feature=f, weight=w) for f, w in parts)
        return Composite(name=name, operation=operation, components=components)

    features = [
        latent("a", 3, threshold=0.25),
        latent("signed", 3, "abstopk"),
        joined("sum", ("a", 1.0)),
        joined("largest", ("a", 1.0), ("sum", 2.0), operation="max"),
        joined("difference", ("a", 1.0), ("sum", -1.0)),
        joined("signed_sum", ("signed", 1.0)),
        Neuron(name="n", site=SITE, index=0),
    ]
    sources = {"sae": dictionary(), "abstopk": dictionary("abstopk", name="abstopk")}
    columns = FeaturePlan.build(features, sources).columns
    assert [c.name for c in columns.sparse] == ["a", "signed", "sum", "largest"]
    assert [c.name for c in columns.dense] == ["difference", "signed_sum", "n"]
    assert columns.sparse[0].threshold == 0.25


def test_dictionaries_at_several_sites_share_one_plan(
    dictionary: MakeDictionary, activations: dict[str, torch.Tensor]
) -> None:
    sources = {
        "sae": dictionary("jumprelu"),
        "mlp": dictionary("topk", name="mlp", d_in=8, site=OTHER),
    }
    features = [latent("x", 5), latent("y", 40, "mlp"), latent("z", 5)]
    values = evaluate(features, sources, activations)
    for name, site in (("sae", SITE), ("mlp", OTHER)):
        full = SAE.load_from_disk(sources[name].path).encode(activations[site]).detach().numpy()
        index = {"sae": ("x", 5), "mlp": ("y", 40)}[name]
        np.testing.assert_allclose(values[index[0]], full[:, index[1]], rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(values["x"], values["z"])


def test_a_whole_dictionary_names_its_latents(dictionary: MakeDictionary) -> None:
    plan = FeaturePlan.whole_dictionary(dictionary("standard"))
    assert [c.name for c in plan.columns.sparse[:2]] == ["latent-0", "latent-1"]
    assert len(plan.columns.sparse) == 64
    assert plan.sites == (SITE,)


@pytest.mark.parametrize(
    ("feature", "code", "reason"),
    [
        (latent("f", 64), "latent_out_of_range", r"'f' names latent 64 .* has 64 \(0 to 63\)"),
        (latent("f", 0, "none"), "dictionary_missing", "'none'; known are sae"),
    ],
)
def test_a_latent_that_does_not_exist_is_refused(
    feature: SaeLatent, code: str, reason: str, dictionary: MakeDictionary
) -> None:
    with pytest.raises(EvaluationError, match=reason) as failure:
        FeaturePlan.build([feature], {"sae": dictionary()})
    assert failure.value.code == code


@pytest.mark.parametrize(
    ("feature", "code", "reason"),
    [
        (
            LinearProbe(name="p", site=SITE, weights=(1.0, 2.0)),
            "width_mismatch",
            "'p' has 2 entries.*16 wide",
        ),
        (Direction(name="d", site=OTHER, vector=(1.0,) * 16), "width_mismatch", "8 wide"),
        (Neuron(name="n", site=OTHER, index=8), "neuron_out_of_range", "neuron 8 of .* has 8"),
    ],
)
def test_a_read_out_that_does_not_fit_its_site_is_refused(
    feature: Any, code: str, reason: str
) -> None:
    with pytest.raises(EvaluationError, match=reason) as failure:
        FeaturePlan.build([feature], {}).check(WIDTHS)
    assert failure.value.code == code


def test_a_dictionary_that_does_not_fit_its_site_is_refused(dictionary: MakeDictionary) -> None:
    plan = FeaturePlan.whole_dictionary(dictionary("standard", site=OTHER))
    with pytest.raises(EvaluationError, match=r"takes 16 entries \(d_in\).*8 wide"):
        plan.check(WIDTHS)


def test_an_empty_feature_set_is_refused() -> None:
    with pytest.raises(EvaluationError, match="no features"):
        FeaturePlan.build([], {})


def load(folder: Path) -> DictionarySource:
    return load_dictionary("sae", str(folder), roots=[folder.parent], cache=folder.parent / "cache")


def test_a_dictionary_for_one_head_is_refused(tmp_path: Path) -> None:
    folder = save_dictionary(tmp_path / "sae")
    config = (folder / "cfg.json").read_text()
    (folder / "cfg.json").write_text(
        config.replace('"hook_name"', '"hook_head_index": 2, "hook_name"')
    )
    with pytest.raises(EvaluationError, match="reads head 2 alone"):
        load(folder)


def test_an_unknown_architecture_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    folder = save_dictionary(tmp_path / "sae")
    config = (folder / "cfg.json").read_text()
    (folder / "cfg.json").write_text(config.replace('"standard"', '"nonstandard"'))
    with pytest.raises(EvaluationError, match=r"'nonstandard'.*jumprelu, "):
        load(folder)


def test_a_truncated_dictionary_is_refused(tmp_path: Path) -> None:
    folder = save_dictionary(tmp_path / "sae")
    weights = folder / "sae_weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-5])
    with pytest.raises(EvaluationError, match="truncated"):
        load(folder)


def test_an_encoder_that_is_not_finite_is_refused(dictionary: MakeDictionary) -> None:
    source = dictionary("standard")
    sae = SAE.load_from_disk(source.path)
    sae.W_enc.data[3, 5] = torch.inf
    sae.save_model(source.path)
    plan = FeaturePlan.build([latent("f", 5)], {"sae": source})
    with pytest.raises(EvaluationError, match=r"W_enc .* NaN or infinite"):
        plan.evaluator(WIDTHS, CPU)


def test_a_release_needs_the_hub(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="hub, which is not allowed"):
        load_dictionary("sae", release="r", sae_id="i", roots=[tmp_path], cache=tmp_path)
