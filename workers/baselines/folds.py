"""Folds of whole clusters, so that nothing is scored by what was fitted on its own document."""

import numpy as np
from numpy.typing import NDArray

FOLDS = 3

MIN_CLUSTERS = 20
"""Documents with the concept, and documents without it, below which nothing is fitted: a third of
fewer tells neither an AUROC nor its error."""


def cluster_folds(
    cluster: NDArray[np.integer], positive: NDArray[np.bool_], seed: int, folds: int = FOLDS
) -> NDArray[np.intp]:
    """The fold of each token; tokens of one cluster share it.

    Clusters are dealt out in the order of their positive tokens, to and fro, so that each fold gets
    its share of the concept (stratification; Kohavi 1995). Ties are broken by the seed.

    Args:
        cluster: [tokens] cluster of each token.
        positive: [tokens] whether the token carries the concept.

    Returns:
        [tokens] from 0 to folds − 1.
    """
    _, of_token = np.unique(cluster, return_inverse=True)
    size = np.bincount(of_token)
    carried = np.bincount(of_token, positive, len(size))
    tie = np.random.default_rng(seed).permutation(len(size))
    order = np.lexsort((tie, -size, -carried))
    to_and_fro = np.r_[np.arange(folds), np.arange(folds)[::-1]]
    fold = np.empty(len(size), np.intp)
    fold[order] = np.resize(to_and_fro, len(size))
    return fold[of_token]


def too_few(
    cluster: NDArray[np.integer], positive: NDArray[np.bool_], least: int = MIN_CLUSTERS
) -> str | None:
    """Why labels cannot carry a cross-fitted comparison, as a sentence; None if they can."""
    for mask, verb in ((positive, "carry the concept"), (~positive, "have a token without it")):
        found = len(np.unique(cluster[mask]))
        if found < least:
            return f"Only {found} documents of the sample {verb}; at least {least} are needed."
    return None
