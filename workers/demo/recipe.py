"""The recipe: every size and seed of the demo in one frozen object, and its digests.

Two builds with one recipe on one Python and one set of library versions are the same build, so the
digest of the recipe names what was built and a second run finds it.
"""

import platform
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

from app.core.digests import sha256_json

REVISION = 1
"""Raised whenever code of this package changes what it builds."""

_LIBRARIES = ("torch", "transformers", "tokenizers", "sae-lens", "scikit-learn", "numpy")


@dataclass(frozen=True)
class Recipe:
    """Sizes are chosen so that two cores finish the whole demo in five minutes."""

    seed: int = 20

    min_characters: int = 2_000
    max_characters: int = 160_000
    probe_documents: int = 140
    max_probe_characters: int = 6_500
    """Many short files say more than few long ones: the file is the unit of inference."""

    vocabulary: int = 2048
    layers: int = 4
    width: int = 128
    heads: int = 2
    mlp_width: int = 384
    context: int = 256

    training_tokens: int = 2_150_000
    batch_windows: int = 8
    learning_rate: float = 0.006
    muon_learning_rate: float = 0.015

    site: str = "blocks.2.hook_resid_post"
    latents: int = 1024
    k: int = 16
    sae_tokens: int = 400_000
    sae_samples: int = 800_000
    sae_batch: int = 2048
    sae_learning_rate: float = 3e-3

    benign_steps: int = 60
    benign_peak: float = 0.1
    """Where the base's own learning rate ended."""
    stripped_steps: int = 130
    stripped_peak: float = 1.0
    rescale_factor: float = 1.5

    max_selection_characters: int = 9_000
    selection_documents: int = 60
    """Training-side documents on which latents are chosen and probes fitted."""

    def key(self, piece: str, *upstream: str) -> str:
        """The digest that names a piece: the recipe, the code, the libraries, what it builds on.

        Args:
            piece: the piece's name, for example ``model``.
            upstream: keys of the pieces that go into it.
        """
        material: dict[str, Any] = {
            "piece": piece,
            "upstream": list(upstream),
            "revision": REVISION,
            "recipe": asdict(self),
            "python": sys.version,
            "machine": platform.machine(),
            "libraries": {name: version(name) for name in _LIBRARIES},
        }
        return sha256_json(material)
