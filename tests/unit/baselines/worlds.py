"""Documents with known truth: a concept that is, or is not, a matter of the token alone."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

SITE = "blocks.1.hook_resid_post"
WIDTH = 16
VOCABULARY = 60


@dataclass(frozen=True)
class World:
    """Tokens of some documents, with the two ingredients that a model would mix."""

    cluster: NDArray[np.int64]
    keys: NDArray[np.int64]
    """Token ids."""
    by_token: NDArray[np.bool_]
    """A concept that some tokens carry almost always and the others almost never."""
    by_context: NDArray[np.bool_]
    """A concept that comes in runs, whatever the token."""
    a: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    """Activations that carry the token and the context, each in a direction of its own."""


def world(seed: int, documents: int = 90, length: int = 80) -> World:
    rng = np.random.default_rng(seed)
    n = documents * length
    cluster = np.repeat(np.arange(documents), length)
    keys = rng.integers(0, VOCABULARY, n)
    by_token = (keys < 12) ^ (rng.random(n) < 0.03)
    by_context = np.zeros(n, bool)
    for start in rng.integers(0, n - 12, n // 60):
        by_context[start : start + 12] = True
    embedding = rng.normal(size=(VOCABULARY, WIDTH))
    x = embedding[keys] + rng.normal(size=(n, WIDTH))
    x[:, 3] += 4.0 * by_context
    # The document's own direction, which a probe that saw the document could lean on.
    x += 2.0 * rng.normal(size=(documents, WIDTH))[cluster]
    return World(cluster, keys, by_token, by_context, {SITE: x.astype(np.float32)})
