"""Robustness: does a feature say of a document's variants what it says of the document?

Agreement is Lin's concordance (1989), over pairs of a document and its variant, of the feature's
mean activation. A feature that fires as before, but no longer survives a paraphrase, has drifted.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.drift.estimands import (
    Estimates,
    concordance,
    effective_clusters,
    jackknife,
    variance_of_variance,
)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """Agreement across variants on both sides, of some features; all arrays are [features]."""

    pairs: int
    """Pairs of a document and a variant with tokens in both."""
    active_clusters: NDArray[np.int64]
    """Clusters with a pair in which the feature has any value but 0, on either side."""
    baseline: Array
    """Lin's concordance; NaN where the documents do not differ."""
    candidate: Array
    estimates: Estimates
    """Of baseline − candidate: a positive effect is a loss of agreement."""


def agreement(
    original_a: Array,
    variant_a: Array,
    original_b: Array,
    variant_b: Array,
    cluster: NDArray[np.integer],
    clusters: int,
) -> Agreement:
    """Agreement of both sides and the estimates of its loss, by delete-one-cluster jackknife.

    Args:
        original_a, variant_a: [pairs, features] baseline's mean activation of the document and of
            its variant.
        original_b, variant_b: the candidate's.
        cluster: [pairs] unit of inference of each pair.
    """
    order = np.argsort(cluster, kind="stable")
    present, starts = np.unique(cluster[order], return_index=True)

    def per_cluster(values: Array) -> Array:
        sums = np.zeros((clusters, values.shape[1]))
        if len(present):
            sums[present] = np.add.reduceat(values[order], starts, axis=0)
        return sums

    n = np.bincount(cluster, minlength=clusters).astype(np.float64)[:, None]
    sides = tuple(
        tuple(per_cluster(x) for x in (o, v, o * o, v * v, o * v))
        for o, v in ((original_a, variant_a), (original_b, variant_b))
    )
    values = (original_a, variant_a, original_b, variant_b)
    active = per_cluster(np.logical_or.reduce([x != 0 for x in values]).astype(np.float64))

    def loss(n: Array, *sums: Array) -> Array:
        return concordance(n, *sums[:5]) - concordance(n, *sums[5:])

    with np.errstate(divide="ignore", invalid="ignore"):
        point, variance, influence = jackknife(loss, (n, *sides[0], *sides[1]))
        each = [concordance(n.sum(0), *(x.sum(0) for x in side)) for side in sides]
    same = ((original_a == original_b) & (variant_a == variant_b)).all(0) & np.isfinite(point)
    # Clusters in which the feature is silent tell nothing of its variance.
    return Agreement(
        len(cluster),
        (active > 0).sum(0, dtype=np.int64),
        each[0],
        each[1],
        Estimates(
            point,
            point,
            variance,
            1 / np.maximum(active.sum(0), 1),
            np.zeros_like(point),
            effective_clusters(active) - 1,
            variance_of_variance(influence, active),
            same,
            influence,
        ),
    )
