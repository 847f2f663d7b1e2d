"""Documents and their variants with a known loss of agreement."""

import numpy as np
from numpy.typing import NDArray

from workers.drift.estimands import Estimates
from workers.drift.robustness import agreement

Float64 = NDArray[np.float64]
Rng = np.random.Generator

_SKEW_SHAPE = 2.0
"""Shape of the gamma law of a document's mean activation; its skewness is √2."""


def drawn(
    rng: Rng, documents: int, features: int, *, skewed: bool
) -> tuple[Estimates, Float64, NDArray[np.int64]]:
    """Estimates of the loss of agreement, and the truth; each document has one variant.

    A document and its variant are sums of independent parts, one of them in common: where all have
    the same law and scale, Lin's concordance is the common part's share of the variance. The
    candidate keeps of every part what it can, so that both sides are alike as checkpoints are.

    Returns:
        Estimates [features], truth [features], units in which each feature is active [features].
    """
    agree = rng.uniform(0.3, 0.9, (2, features))
    shape = (documents, features)

    def part(share: Float64) -> Float64:
        """[documents, features] with variance `share`, additive in it."""
        if skewed:
            positive = np.maximum(share * _SKEW_SHAPE, 1e-9)
            return rng.gamma(np.broadcast_to(positive, shape))
        return rng.normal(size=shape) * np.sqrt(share)

    kept = agree.min(0)
    both = part(kept)
    common = [both + part(side - kept) for side in agree]
    own_kept = (1 - agree).min(0)
    sides = []
    for _ in ("document", "variant"):
        own = part(own_kept)
        sides.append([c + own + part(1 - s - own_kept) for c, s in zip(common, agree, strict=True)])
    (document_a, document_b), (variant_a, variant_b) = sides
    cluster = np.arange(documents)
    found = agreement(document_a, variant_a, document_b, variant_b, cluster, documents)
    return found.estimates, agree[0] - agree[1], found.active_clusters
