"""Documents and dictionaries with known truth: latents that are a concept, a word, or nothing."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from workers.suggest.material import Material

WIDTH, VOCABULARY, LATENTS = 12, 50, 64
CONCEPT, WORD = "context", "word"
PLANTED, OF_WORD = 17, 40


@dataclass(frozen=True)
class World:
    """Tokens, and the dense values of latents over them."""

    cluster: NDArray[np.int64]
    keys: NDArray[np.int64]
    values: NDArray[np.float32]
    site: NDArray[np.float32]
    labels: dict[str, NDArray[np.bool_]]

    def material(self) -> Material:
        return Material(
            self.cluster,
            self.cluster,
            self.keys,
            csr_array(self.values),
            self.site,
            self.labels,
        )

    def with_latent(self, latent: int, values: NDArray[np.float64]) -> "World":
        changed = self.values.copy()
        changed[:, latent] = np.maximum(values, 0)
        return replace(self, values=changed)


def noise(seed: int, documents: int = 120, length: int = 40, latents: int = LATENTS) -> World:
    """A dictionary that knows nothing of the concepts, but much of the documents and the words."""
    rng = np.random.default_rng(seed)
    n = documents * length
    cluster = np.repeat(np.arange(documents), length)
    keys = rng.integers(0, VOCABULARY, n)
    context = np.zeros(n, bool)
    for start in rng.integers(0, n - 12, n // 60):
        context[start : start + 12] = True
    # Latents that lean on a document, and latents that lean on a word: as in real ones, their
    # tokens are far from independent.
    of_document = rng.normal(size=(documents, latents))[cluster]
    of_word = rng.normal(size=(VOCABULARY, latents))[keys]
    mixed = of_document + of_word + rng.normal(size=(n, latents))
    values = np.maximum(mixed - 2.5, 0).astype(np.float32)
    site = rng.normal(size=(n, WIDTH)) + rng.normal(size=(documents, WIDTH))[cluster]
    labels = {CONCEPT: context, WORD: (keys < 8) ^ (rng.random(n) < 0.01)}
    return World(cluster, keys, values, site.astype(np.float32), labels)


def planted(seed: int, **options: int) -> World:
    """Latent 17 is the concept of context; latent 40 is what the words 0 to 7 do to the site."""
    world = noise(seed, **options)
    rng = np.random.default_rng(seed + 1)
    context = world.labels[CONCEPT]
    world.site[:, 3] += 2.0 * context
    heard = (context & (rng.random(len(context)) < 0.8)) | (rng.random(len(context)) < 0.02)
    of_word = (world.keys < 8) & (rng.random(len(context)) < 0.9)
    found = world.with_latent(PLANTED, heard * rng.gamma(4, 1, len(context)))
    return found.with_latent(OF_WORD, of_word * rng.gamma(4, 1, len(context)))
