"""AUROC of two paired scores against token labels, with variances for clustered data.

Obuchowski, N. A. (1997), "Nonparametric analysis of clustered ROC curve data", Biometrics 53:
structural components (DeLong et al. 1988) are summed within clusters, and it is their sums that are
independent.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_Z = 1.6448536269514722
"""Normal quantile of 95%."""


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
    """Both sides have the same value at every token: the difference is 0 and has no error."""
    influence: Array
    """[clusters] what each cluster adds to candidate − baseline; sums to 0."""
    independent: Array
    """[clusters] what each cluster would add to the variance if its tokens were independent."""
    owed: float
    """Variance that few changed tokens still owe: see `owed_variance`."""


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
        none = np.zeros(labels.clusters)
        return PairedAuroc(np.nan, np.nan, np.inf, 0.0, False, none, none, 0.0)
    side_a, side_b = (_levels(x, labels, positives, negatives) for x in (a, b))
    a10, a01 = _components(side_a, labels, positives, negatives)
    b10, b01 = _components(side_b, labels, positives, negatives)
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
    influence = d10 / m + d01 / n
    return PairedAuroc(
        auroc_a,
        auroc_b,
        variance,
        float(effective) - 1,
        _same(a, b),
        influence,
        _independent(side_a, side_b, labels, positives, negatives, delta),
        owed_variance(influence, max(_jump(side_a), _jump(side_b)) / m),
    )


def owed_variance(influence: Array, jump: float) -> float:
    """Variance added so that an interval on few changed tokens reaches far enough.

    A sum of rare jumps of size w has a variance that grows by w for each unit of its mean, as a
    Poisson count's does (a compound Poisson law has V′(θ) = κ₃/κ₂). The far end of a score interval
    is therefore judged by the larger variance there: it lies z·√(V + w²·(z²/2 + z·√(V/w² + z²/4)))
    from the estimate, which is Wilson's (1927) interval for counts, made symmetric. Of V this adds
    a share that vanishes as V/w², the number of jumps, grows. z is that of one tail of 5%, since
    made symmetric the near end is too far already.

    w is |Σu³|/Σu², as though one more jump had been seen: where there was none, none is ruled out.

    Args:
        influence: [clusters] u.
        jump: what one token adds to the difference when it changes between on and off.
    """
    squares = float((influence**2).sum())
    if jump == 0:
        return 0.0
    w = (abs(float((influence**3).sum())) + jump**3) / (squares + jump**2)
    return w * (_Z**2 * w / 2 + _Z * np.sqrt(squares + _Z**2 * w**2 / 4))


def _per_cluster(mask: NDArray[np.bool_], labels: Labels) -> Array:
    return np.bincount(labels.cluster[mask], minlength=labels.clusters).astype(np.float64)


@dataclass(frozen=True)
class _Levels:
    """Structural components of the stored tokens and of those that are 0, of one side."""

    tokens: NDArray[np.integer] | None
    v10: Array
    """[stored] the share of negatives below the value, ties counting half."""
    v01: Array
    """[stored] the share of positives above it, ties counting half."""
    zero10: float
    zero01: float
    positive: NDArray[np.bool_]
    """[stored]"""


def _levels(scores: Scores, labels: Labels, positives: Array, negatives: Array) -> _Levels:
    m, n = positives.sum(), negatives.sum()
    positive = labels.positive if scores.tokens is None else labels.positive[scores.tokens]
    # The appended 0 gives the implicit zeros their place in the order.
    levels, level = np.unique(np.append(scores.values, 0), return_inverse=True)
    zero, level = level[-1], level[:-1]
    m_at = np.bincount(level[positive], minlength=len(levels)).astype(np.float64)
    n_at = np.bincount(level[~positive], minlength=len(levels)).astype(np.float64)
    m_at[zero] += m - m_at.sum()
    n_at[zero] += n - n_at.sum()
    v10 = (np.cumsum(n_at) - n_at / 2) / n
    v01 = (m - np.cumsum(m_at) + m_at / 2) / m
    return _Levels(scores.tokens, v10[level], v01[level], v10[zero], v01[zero], positive)


def _components(
    side: _Levels, labels: Labels, positives: Array, negatives: Array
) -> tuple[Array, Array]:
    """Sums within clusters of V₁₀ (over positives) and V₀₁ (over negatives); both [clusters]."""
    cluster = labels.cluster if side.tokens is None else labels.cluster[side.tokens]
    sums = []
    for mask, v, zero, sizes in (
        (side.positive, side.v10, side.zero10, positives),
        (~side.positive, side.v01, side.zero01, negatives),
    ):
        stored = np.bincount(cluster[mask], minlength=labels.clusters)
        sums.append(np.bincount(cluster[mask], v[mask], labels.clusters) + (sizes - stored) * zero)
    return sums[0], sums[1]


def _independent(
    a: _Levels, b: _Levels, labels: Labels, positives: Array, negatives: Array, delta: float
) -> Array:
    """Σ (d₁₀/m)² + Σ (d₀₁/n)² over the tokens of each cluster, d the centred differences."""
    tokens: NDArray[np.integer] | slice
    if a.tokens is None and b.tokens is None:
        tokens = slice(None)
        changes = (b.v10 - a.v10, b.v01 - a.v01)
    else:
        every = np.arange(len(labels.positive))
        stored = [every if x.tokens is None else x.tokens for x in (a, b)]
        tokens = np.union1d(*stored)
        at_a, at_b = (np.searchsorted(tokens, x) for x in stored)
        change10 = np.full(len(tokens), b.zero10 - a.zero10)
        change01 = np.full(len(tokens), b.zero01 - a.zero01)
        change10[at_a] -= a.v10 - a.zero10
        change10[at_b] += b.v10 - b.zero10
        change01[at_a] -= a.v01 - a.zero01
        change01[at_b] += b.v01 - b.zero01
        changes = (change10, change01)
    positive, cluster = labels.positive[tokens], labels.cluster[tokens]
    found = np.zeros(labels.clusters)
    for mask, change, zero, sizes in (
        (positive, changes[0], b.zero10 - a.zero10, positives),
        (~positive, changes[1], b.zero01 - a.zero01, negatives),
    ):
        here = np.bincount(cluster[mask], minlength=labels.clusters)
        squares = (change[mask] - delta) ** 2
        stored_squares = np.bincount(cluster[mask], squares, labels.clusters)
        found += (stored_squares + (sizes - here) * (zero - delta) ** 2) / sizes.sum() ** 2
    return found


def _jump(side: _Levels) -> float:
    """By how much V₁₀ of a positive token changes, on average, when a sparse feature goes off.

    A dense score changes a little at every token, so that no rare jump is owed.
    """
    if side.tokens is None or not side.positive.any():
        return 0.0
    return abs(float((side.v10[side.positive] - side.zero10).mean()))


def _same(a: Scores, b: Scores) -> bool:
    """Equal bit for bit; monotone changes leave AUROC alone on these tokens, not on all."""
    if a.tokens is None or b.tokens is None:
        return a.tokens is b.tokens and np.array_equal(a.values, b.values)
    order_a, order_b = np.argsort(a.tokens), np.argsort(b.tokens)
    return np.array_equal(a.tokens[order_a], b.tokens[order_b]) and np.array_equal(
        a.values[order_a], b.values[order_b]
    )
