"""A made-up site: activations that are sums of known concepts, and a dictionary that reads them."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from workers.comparison.sites import SiteSample
from workers.features.dictionaries import DictionarySource, load_dictionary

SITE = "blocks.1.hook_resid_post"
NEURONS = "blocks.1.mlp.hook_post"
BIAS = 0.7
"""A latent is on where its direction's share of the activation exceeds this."""

Array = NDArray[np.float64]
Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class World:
    """Tokens in documents, and how strongly each carries each concept."""

    document: NDArray[np.int64]
    token: NDArray[np.int64]
    """[tokens] the token's identity, 0 to `VOCABULARY` − 1."""
    strength: Array
    """[tokens, concepts] 0 where the concept is absent."""
    directions: Array
    """[concepts, width] of length 1, more of them than dimensions."""

    @property
    def documents(self) -> int:
        """How many there are."""
        return int(self.document[-1]) + 1

    def activations(self, rng: np.random.Generator, noise: float = 0.05) -> Float32:
        """[tokens, width] Σ strength × direction, and noise."""
        clean = self.strength @ self.directions
        return np.asarray(clean + noise * rng.normal(size=clean.shape), np.float32)

    def read_by(self, x: Float32) -> Float32:
        """[tokens, concepts] what the dictionary's latents make of activations."""
        read: Float32 = np.maximum(x @ self.directions.T.astype(np.float32) - np.float32(BIAS), 0)
        return read

    def without(self, concepts: NDArray[np.intp]) -> "World":
        """Some concepts are nowhere."""
        strength = self.strength.copy()
        strength[:, concepts] = 0
        return replace(self, strength=strength)

    def sample(self, a: dict[str, Float32], b: dict[str, Float32]) -> SiteSample:
        """All tokens of two sides."""
        tokens = len(self.document)
        first = np.searchsorted(self.document, np.arange(self.documents))
        place = (np.arange(tokens) - first[self.document]).astype(np.int32)
        document = self.document.astype(np.int32)
        return SiteSample(
            np.arange(tokens), document, place, place + 1, self.document.astype(np.int64), a, b
        )


VOCABULARY = 300


def make_world(
    rng: np.random.Generator,
    *,
    documents: int = 150,
    width: int = 48,
    concepts: int = 72,
    firing: float = 0.03,
) -> World:
    """Concepts come by topic: a document has its own rates; a few tokens go with each concept."""
    length = np.maximum(rng.lognormal(np.log(110), 0.4, documents), 30).astype(np.int64)
    document = np.repeat(np.arange(documents), length)
    token = rng.integers(0, VOCABULARY, len(document))
    rate = firing * rng.gamma(2, 0.5, (documents, concepts))[document]
    related = rng.random((VOCABULARY, concepts)) < 0.05
    on = rng.random(rate.shape) < np.minimum(np.where(related[token], 3 * rate, rate), 0.8)
    strength = np.where(on, 1 + rng.exponential(0.7, rate.shape), 0.0)
    directions = rng.normal(size=(concepts, width))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return World(document, token, strength, directions)


def randomised(rng: np.random.Generator, world: World) -> Float32:
    """[tokens, width] activations of fresh weights: a random function of the token alone."""
    table = rng.normal(size=(VOCABULARY, world.directions.shape[1]))
    return np.asarray(table[world.token], np.float32)


def save_dictionary(folder: Path, world: World) -> DictionarySource:
    """The world's dictionary in SAELens format: each concept's direction, tied."""
    folder.mkdir(parents=True)
    concepts, width = world.directions.shape
    D = np.ascontiguousarray(world.directions, np.float32)
    tensors = {
        "W_enc": np.ascontiguousarray(D.T),
        "b_enc": np.full(concepts, -BIAS, np.float32),
        "W_dec": D,
        "b_dec": np.zeros(width, np.float32),
    }
    save_file(tensors, folder / "sae_weights.safetensors")
    config = {
        "architecture": "standard",
        "d_in": width,
        "d_sae": concepts,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": False,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {"hook_name": SITE},
    }
    (folder / "cfg.json").write_text(json.dumps(config))
    return load_dictionary(
        "dictionary", str(folder), roots=[folder.parent], cache=folder.parent / "cache"
    )
