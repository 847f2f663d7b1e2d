"""A tiny world to watch: documents with labels, and features of every kind."""

import inspect
import json
import re
from pathlib import Path
from typing import Any

SITE = "blocks.1.hook_resid_post"
CONTROLS_TO_CHOOSE = (
    "randomised_model",
    "numerics",
    "random_features",
    "permuted_labels",
    "shuffled_pairing",
)


def save_dictionary(folder: Path, *, d_in: int = 16, d_sae: int = 24, seed: int = 0) -> Path:
    """A random dictionary in SAELens's format, about half of whose latents are on at a token."""
    import torch
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(seed)
    encoder = torch.randn(d_in, d_sae, generator=generator)
    folder.mkdir(parents=True)
    save_file(
        {
            "W_enc": encoder,
            "b_enc": torch.randn(d_sae, generator=generator),
            "W_dec": torch.nn.functional.normalize(encoder.T, dim=1).contiguous(),
            "b_dec": torch.zeros(d_in),
        },
        folder / "sae_weights.safetensors",
    )
    config = {
        "architecture": "standard",
        "d_in": d_in,
        "d_sae": d_sae,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {"hook_name": SITE, "model_name": "tiny"},
    }
    (folder / "cfg.json").write_text(json.dumps(config))
    return folder


def documents(count: int = 40) -> list[dict[str, Any]]:
    """Pieces of a standard library module, with its comments and strings labelled."""
    source = inspect.getsource(json.decoder) + inspect.getsource(inspect)
    lines = [line for line in source.splitlines() if line.strip()]
    found = []
    for index in range(count):
        text = "\n".join(lines[index * 6 : index * 6 + 6])
        found.append(
            {
                "id": f"doc-{index}",
                "text": text,
                "labels": {
                    "comment": [[*m.span()] for m in re.finditer(r"#.*", text)],
                    "string": [[*m.span()] for m in re.finditer(r"'[^'\n]+'", text)],
                },
            }
        )
    return found


def features_of_all_kinds(dictionary: str, width: int = 16) -> list[dict[str, Any]]:
    """Definitions of every kind, composites across sites included."""
    ramp = [float(i + 1) for i in range(width)]
    return [
        {"kind": "sae_latent", "name": "latent", "dictionary": dictionary, "index": 3},
        {
            "kind": "sae_latent",
            "name": "latent-of-comments",
            "dictionary": dictionary,
            "index": 7,
            "concept": "comment",
        },
        {
            "kind": "linear_probe",
            "name": "probe",
            "site": "blocks.2.hook_resid_post",
            "weights": ramp,
            "bias": -0.5,
            "concept": "string",
        },
        {"kind": "direction", "name": "direction", "site": SITE, "vector": ramp[::-1]},
        {"kind": "neuron", "name": "neuron", "site": "blocks.0.hook_mlp_out", "index": 5},
        {
            "kind": "composite",
            "name": "composite",
            "operation": "sum",
            "components": [
                {"feature": "latent", "weight": 0.5},
                {"feature": "neuron", "weight": -1.0},
            ],
        },
    ]
