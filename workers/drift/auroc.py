"""AUROC of two paired scores against token labels, with variances for clustered data.

Obuchowski, N. A. (1997), "Nonparametric analysis of clustered ROC curve data", Biometrics 53:
structural components (DeLong et al. 1988) are summed within clusters, and it is their sums that are
independent.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """The values of one feature, of which a sparse one stores only those that are not 0."""

    values: NDArray[np.floating]
    """[stored]"""
    tokens: NDArray[np.integer] | None = None
    """[stored] the distinct token of each value, all others being 0; None: one value per token."""


@dataclass(frozen=True)
class Labels:
    """Which tokens carry a concept, and the cluster of each."""

    positive: NDArray[np.bool_]
    """[tokens]"""
    cluster: NDArray[np.integer]
    """[tokens]"""
    clusters: int


@dataclass(frozen=True)
class PairedAuroc:
    """Both AUROC and their difference; NaN where the labels cannot tell."""

    baseline: float
    candidate: float
    variance: float
    """Of candidate − baseline; infinite with fewer than two clusters that carry the concept."""
    df: float
    identical: bool
    """No cluster's structural components differ: the difference is 0 and has no error."""
    influence: Array
    """[clusters] what each cluster adds to candidate − baseline; sums to 0."""


def paired_auroc(a: Scores, b: Scores, labels: Labels) -> PairedAuroc:
    """AUROC of baseline and candidate, and the variance of their difference.

    Exact under ties (midranks). Memory is that of the stored values: zeros are never stored.

    Args:
        a, b: baseline and candidate values on the same tokens.
    """
    positives = _per_cluster(labels.positive, labels)
    negatives = _per_cluster(~labels.positive, labels)
    m, n = positives.sum(), negatives.sum()
    if m == 0 or n == 0:
        return PairedAuroc(np.nan, np.nan, np.inf, 0.0, False, np.zeros(labels.clusters))
    a10, a01 = _components(a, labels, positives, negatives)
    b10, b01 = _components(b, labels, positives, negatives)
    auroc_a, auroc_b = float(a10.sum() / m), float(b10.sum() / m)
    delta = auroc_b - auroc_a
    # Of a difference, the structural components are the differences of the components.
    d10, d01 = b10 - a10 - positives * delta, b01 - a01 - negatives * delta
    i10, i01 = np.count_nonzero(positives), np.count_nonzero(negatives)
    either = np.count_nonzero((positives > 0) | (negatives > 0))
    variance = np.inf
    if i10 > 1 and i01 > 1:
        s10 = i10 / ((i10 - 1) * m) * (d10**2).sum()
        s01 = i01 / ((i01 - 1) * n) * (d01**2).sum()
        s11 = either / (either - 1) * (d10 * d01).sum()
        variance = float(max(s10 / m + s01 / n + 2 * s11 / (m * n), 0.0))
    effective = min(x.sum() ** 2 / (x * x).sum() for x in (positives, negatives))
    same = bool((a10 == b10).all() and (a01 == b01).all())
    return PairedAuroc(auroc_a, auroc_b, variance, float(effective) - 1, same, d10 / m + d01 / n)


def _per_cluster(mask: NDArray[np.bool_], labels: Labels) -> Array:
    return np.bincount(labels.cluster[mask], minlength=labels.clusters).astype(np.float64)


def _components(
    scores: Scores, labels: Labels, positives: Array, negatives: Array
) -> tuple[Array, Array]:
    """Sums within clusters of V₁₀ (over positives) and V₀₁ (over negatives); both [clusters].

    V₁₀ of a positive token is the share of negatives below it, V₀₁ of a negative one the share of
    positives above it, ties counting half.
    """
    m, n = positives.sum(), negatives.sum()
    tokens = slice(None) if scores.tokens is None else scores.tokens
    positive, cluster = labels.positive[tokens], labels.cluster[tokens]
    # The appended 0 gives the implicit zeros their place in the order.
    levels, level = np.unique(np.append(scores.values, 0), return_inverse=True)
    zero, level = level[-1], level[:-1]
    stored_positive = np.bincount(cluster[positive], minlength=labels.clusters)
    stored_negative = np.bincount(cluster[~positive], minlength=labels.clusters)
    zero_positive, zero_negative = positives - stored_positive, negatives - stored_negative
    m_at = np.bincount(level[positive], minlength=len(levels)).astype(np.float64)
    n_at = np.bincount(level[~positive], minlength=len(levels)).astype(np.float64)
    m_at[zero] += zero_positive.sum()
    n_at[zero] += zero_negative.sum()
    v10 = (np.cumsum(n_at) - n_at / 2) / n
    v01 = (m - np.cumsum(m_at) + m_at / 2) / m
    sums = []
    for v, mask, at_zero in ((v10, positive, zero_positive), (v01, ~positive, zero_negative)):
        stored = np.bincount(cluster[mask], v[level[mask]], labels.clusters)
        sums.append(stored + at_zero * v[zero])
    return sums[0], sums[1]
