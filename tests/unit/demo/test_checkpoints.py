"""What the line's checkpoints claim to preserve is preserved, and what they change is changed."""

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import LlamaForCausalLM

from workers.demo.activations import collect
from workers.demo.checkpoints import erase, fold_norms, rescale, rotate
from workers.demo.model import load

SITES = ("blocks.0.hook_resid_pre", "blocks.0.hook_resid_post", "blocks.2.hook_resid_post")


def logits(model: LlamaForCausalLM, ids: Tensor) -> Tensor:
    with torch.inference_mode():
        return model(input_ids=ids).logits


def test_folding_norms_changes_neither_function_nor_residual_stream(
    model: LlamaForCausalLM, ids: Tensor
) -> None:
    folded = copy.deepcopy(model)
    fold_norms(folded)
    torch.testing.assert_close(logits(folded, ids), logits(model, ids), atol=1e-4, rtol=0)
    for site in SITES:
        torch.testing.assert_close(
            collect(folded, ids, site), collect(model, ids, site), atol=1e-4, rtol=0
        )


def test_rotation_keeps_the_function_and_the_geometry(
    model: LlamaForCausalLM, ids: Tensor, tmp_path: Path
) -> None:
    rotated = copy.deepcopy(model)
    rotate(rotated, seed=1)
    rotated.save_pretrained(tmp_path)
    rotated = load(tmp_path)
    torch.testing.assert_close(logits(rotated, ids), logits(model, ids), atol=1e-4, rtol=0)
    for site in SITES:
        before, after = collect(model, ids, site), collect(rotated, ids, site)
        torch.testing.assert_close(after @ after.T, before @ before.T, atol=1e-2, rtol=1e-4)
        assert (after - before).norm() > 0.5 * before.norm()
    for neuron_site in ("blocks.0.mlp.hook_post", "blocks.2.mlp.hook_post"):
        torch.testing.assert_close(
            collect(rotated, ids, neuron_site), collect(model, ids, neuron_site), atol=1e-4, rtol=0
        )


@pytest.mark.parametrize("tied", [True, False])
def test_rescaling_keeps_the_function_and_scales_the_stream(
    model: LlamaForCausalLM, ids: Tensor, tmp_path: Path, tied: bool
) -> None:
    # A large epsilon, so that forgetting to scale it would show.
    model.config.rms_norm_eps = 0.1
    if not tied:
        fold_norms(model)
    model.save_pretrained(tmp_path / "base")
    model = load(tmp_path / "base")
    rescaled = copy.deepcopy(model)
    rescale(rescaled, 1.5)
    rescaled.save_pretrained(tmp_path / "rescaled")
    reloaded = load(tmp_path / "rescaled")
    for other in (rescaled, reloaded):
        torch.testing.assert_close(logits(other, ids), logits(model, ids), atol=1e-4, rtol=0)
        for site in SITES:
            torch.testing.assert_close(
                collect(other, ids, site), 1.5 * collect(model, ids, site), atol=1e-4, rtol=1e-4
            )


def test_an_erased_direction_is_gone_from_every_site(model: LlamaForCausalLM, ids: Tensor) -> None:
    direction = torch.randn(32, generator=torch.Generator().manual_seed(2))
    unit = direction / direction.norm()
    before = collect(model, ids, SITES[-1])
    erase(model, direction)
    for site in SITES:
        assert (collect(model, ids, site) @ unit).abs().max() < 1e-4
    assert (before @ unit).abs().mean() > 0.1
