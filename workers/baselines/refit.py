"""Is a concept still readable at a site? A labelled refit, judged on documents it never saw."""

import numpy as np
from numpy.typing import NDArray

from workers.baselines.aurocs import NULL_INFLATION, Auroc, auroc, counts
from workers.baselines.design import Design
from workers.baselines.folds import cluster_folds, too_few
from workers.baselines.readouts import probe_scores

__all__ = ["Auroc", "labelled_refit"]


def labelled_refit(
    x: NDArray[np.float32],
    labels: NDArray[np.bool_],
    clusters: NDArray[np.integer],
    *,
    alpha: float = 0.05,
    seed: int = 0,
) -> Auroc:
    """AUROC of a logistic probe fitted anew, on held-out clusters, with its interval.

    A check from outside: it knows the labels, and takes no part in any diagnosis. The interval is
    made to hold where nothing is readable (`NULL_INFLATION`), and is wider than need be elsewhere.

    Args:
        x: [tokens, width] activations of the site.
        labels: [tokens] whether the token carries the concept.
        clusters: [tokens] the document (or group of documents) of each token.

    Returns:
        NaN where too few documents are with or without the concept.

    Raises:
        ValueError: the arrays do not fit together.
    """
    if labels.shape != (len(x),) or clusters.shape != (len(x),):
        raise ValueError(
            f"activations of {len(x)} tokens, labels {labels.shape} and clusters "
            f"{clusters.shape} do not fit together; give one label and one cluster a token"
        )
    if too_few(clusters, labels):
        nan = float("nan")
        return Auroc(nan, nan, nan, *counts(labels, clusters))
    fold = cluster_folds(clusters, labels, seed)
    scores = probe_scores(Design([x]), labels, fold, seed).scores
    return auroc(scores, labels, clusters, fold, alpha, NULL_INFLATION)
