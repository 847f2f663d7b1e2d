"""Which weights a randomised model has fresh, and that a seed fixes them whatever else happens."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from tests.support.models import CONFIGS, LAYERS, save_checkpoint
from workers.capture.checkpoints import ResolvedCheckpoint
from workers.capture.loading import LoadedModel
from workers.capture.numerics import detect_numerics
from workers.capture.randomised import SCOPES, Scope, load_randomised, randomised_blocks
from workers.capture.sites import find_blocks

Checkpoint = Callable[[str], ResolvedCheckpoint]


def weights(model: LoadedModel) -> dict[str, torch.Tensor]:
    """All but the pooler, which no checkpoint of a masked model holds."""
    parameters = model.module.named_parameters()
    return {name: p.detach().clone() for name, p in parameters if "pooler" not in name}


def changed(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    assert before.keys() == after.keys()
    return {name for name in before if not torch.equal(before[name], after[name])}


@pytest.mark.parametrize("family", CONFIGS)
def test_each_scope_replaces_its_own_weights_and_no_other(
    family: str, checkpoint: Checkpoint, loaded: Callable[..., LoadedModel]
) -> None:
    resolved = checkpoint(family)
    base = loaded(family)
    root, blocks = find_blocks(base.module)
    before = weights(base)
    after = {s: weights(load_randomised(resolved, base.numerics, s, 7)) for s in SCOPES}
    # A bias or a norm may start where the checkpoint has left it; every matrix is drawn anew.
    matrices = {name for name, value in before.items() if value.ndim > 1}
    parts: tuple[tuple[Scope, int], ...] = (("top", LAYERS // 2), ("blocks", 0))
    for scope, first in parts:
        inside = {n for n in before for b in range(first, len(blocks)) if f"{root}.{b}." in n}
        assert matrices & inside <= changed(before, after[scope]) <= inside
        assert all(torch.equal(after[scope][n], after["all"][n]) for n in inside)
        assert list(randomised_blocks(base.module, scope)) == list(range(first, LAYERS))
    assert matrices <= changed(before, after["all"])


@pytest.mark.parametrize("scope", SCOPES)
def test_a_seed_fixes_the_weights_and_leaves_every_generator_alone(
    scope: Scope, checkpoint: Checkpoint, loaded: Callable[..., LoadedModel]
) -> None:
    resolved, numerics = checkpoint("bert"), loaded("bert").numerics
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = weights(load_randomised(resolved, numerics, scope, 3))
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert not changed(first, weights(load_randomised(resolved, numerics, scope, 3)))
    assert changed(first, weights(load_randomised(resolved, numerics, scope, 4)))


def test_dtype_and_attention_are_those_of_the_numerics(
    checkpoint: Checkpoint, loaded: Callable[..., LoadedModel]
) -> None:
    resolved = checkpoint("llama")
    numerics = replace(loaded("llama").numerics, dtype="bfloat16", attn_implementation="sdpa")
    model = load_randomised(resolved, numerics, "all", 0)
    config: Any = model.module.config
    assert config._attn_implementation == "sdpa"
    assert not model.module.training
    full = weights(load_randomised(resolved, replace(numerics, dtype="float32"), "all", 0))
    for name, value in weights(model).items():
        torch.testing.assert_close(value, full[name].to(torch.bfloat16), rtol=0, atol=0)


def test_an_adapter_is_merged_before_the_blocks_are_replaced(
    model_root: Path, resolve: Callable[..., ResolvedCheckpoint]
) -> None:
    base = save_checkpoint(model_root / "adapted-base", "llama")
    adapted = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base),
        LoraConfig(
            task_type="CAUSAL_LM",
            r=2,
            target_modules=["q_proj"],
            init_lora_weights=False,
            base_model_name_or_path=str(base),
        ),
    )
    folder = model_root / "adapter-to-randomise"
    adapted.save_pretrained(str(folder))
    resolved = resolve(folder)
    numerics = detect_numerics("float32", "eager", "cpu", 1, resolved)
    plain, merged = (
        weights(load_randomised(r, numerics, "top", 5)) for r in (resolve(base), resolved)
    )
    # Of the blocks that keep their weights, the adapter's change is there; the fresh are the same.
    assert changed(plain, merged) == {"layers.0.self_attn.q_proj.weight"}


def test_an_unknown_scope_is_refused(
    checkpoint: Checkpoint, loaded: Callable[..., LoadedModel]
) -> None:
    with pytest.raises(ValueError, match="scope 'most' is none of top, blocks, all"):
        load_randomised(checkpoint("llama"), loaded("llama").numerics, "most", 0)  # type: ignore[arg-type]
