"""Random dictionaries of every SAELens architecture, saved in SAELens's own format."""

from pathlib import Path
from typing import Any

import torch
from sae_lens.registry import SAE_CLASS_REGISTRY

ARCHITECTURES = tuple(sorted(SAE_CLASS_REGISTRY))
OPTIONS: dict[str, dict[str, Any]] = {
    "topk": {"k": 5},
    "abstopk": {"k": 5},
    "temporal": {"n_heads": 2, "bottleneck_factor": 4, "kval_topk": 6},
    "matching_pursuit": {"max_iterations": 6},
}


def random_dictionary(
    architecture: str,
    d_in: int = 16,
    d_sae: int = 64,
    *,
    site: str = "blocks.1.hook_resid_post",
    seed: int = 0,
    **options: Any,
) -> Any:
    """A random SAE or transcoder in which every parameter matters."""
    import sae_lens  # noqa: F401  registers the architectures

    sae_class, config_class = SAE_CLASS_REGISTRY[architecture]
    options = {**OPTIONS.get(architecture, {}), **options}
    if "transcoder" in architecture:
        options = {"apply_b_dec_to_input": False, "d_out": d_in, **options}
    torch.manual_seed(seed)
    sae = sae_class(config_class(d_in=d_in, d_sae=d_sae, **options))
    sae.cfg.metadata.hook_name = site
    with torch.no_grad():
        for name, parameter in sae.named_parameters():
            if name == "threshold":
                parameter.uniform_(0.1, 1.0)
            elif name == "W_dec":
                parameter.normal_()
                parameter /= parameter.norm(dim=-1, keepdim=True)
                if architecture != "matching_pursuit":
                    # Norms that differ, so that rescaling by them shows.
                    parameter *= torch.rand(d_sae, 1) + 0.5
            else:
                parameter.normal_(std=0.3)
    return sae


def save_dictionary(folder: Path, architecture: str = "standard", **options: Any) -> Path:
    """Save a random dictionary; returns the folder."""
    random_dictionary(architecture, **options).save_model(folder)
    return folder
