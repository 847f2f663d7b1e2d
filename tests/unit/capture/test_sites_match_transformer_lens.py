"""Each site equals TransformerLens's hook of the same name, with no weight processing."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformer_lens.model_bridge import TransformerBridge

from tests.support.models import CONFIGS, LAYERS, random_model, train_tokenizer
from workers.capture.forward import SiteReader
from workers.capture.loading import LoadedModel

HOOKS = (
    "hook_resid_pre",
    "hook_resid_post",
    "attn.hook_z",
    "hook_attn_out",
    "hook_mlp_out",
    "mlp.hook_post",
)
# For BERT the bridge calls the whole BertAttention module, with residual and LayerNorm, attn_out;
# HookedEncoder and every decoder mean what attention adds to the stream, and so do we.
SAME_HOOK = {("bert", "hook_attn_out"): "attn.o.hook_out"}
IDS = torch.tensor([[5, 17, 260, 33, 8, 120, 44, 9], [70, 2, 81, 19, 11, 250, 3, 4]])


def bridge(family: str) -> Any:
    """TransformerLens's bridge around a model with the fixture's weights."""
    model = random_model(family)
    model.set_attn_implementation("eager")
    model.config.architectures = [type(model).__name__]
    return TransformerBridge.boot_transformers(
        family, hf_model=model, tokenizer=train_tokenizer(), device="cpu"
    )


@pytest.mark.parametrize("family", CONFIGS)
def test_every_site_equals_the_hook_of_its_name(
    family: str, loaded: Callable[[str], LoadedModel]
) -> None:
    _, cache = bridge(family).run_with_cache(IDS)
    theirs = {
        f"blocks.{layer}.{hook}": f"blocks.{layer}.{SAME_HOOK.get((family, hook), hook)}"
        for layer in range(LAYERS)
        for hook in HOOKS
    }
    names = list(theirs)
    reader = SiteReader(loaded(family), names)
    found = reader.read(IDS, torch.tensor([IDS.shape[1]] * len(IDS)))
    for name in names:
        expected = cache[theirs[name]].reshape(IDS.numel(), -1)
        assert found[name].shape == expected.shape, name
        torch.testing.assert_close(
            found[name], expected, rtol=1e-5, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}"
        )
        assert reader.widths[name] == expected.shape[1]
