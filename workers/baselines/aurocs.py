"""AUROC of cross-fitted scores, compared within folds only, with clustered intervals.

Scores of different folds come from different fits and are not on one scale: pooled, a positive of
one fold would be ranked against negatives of another, which biases the AUROC (Parker, Günter and
Bedo 2007; Airola et al. 2011). Standardising the scores of a fold does not help, because a fold
with more of the concept has the higher mean. So the AUROC here is the share of well-ordered pairs
of one fold, over all folds; the feature is judged on the same pairs. The folds' estimates are taken
as independent given the fits (LeDell, Petersen and van der Laan 2015), which holds where there is
something to fit; see `NULL_INFLATION` for where there is not.
"""

from dataclasses import dataclass
from math import exp, log, nan, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from workers.drift.auroc import Labels, Scores, paired_auroc
from workers.drift.estimands import effective_clusters

NULL_INFLATION = sqrt(2)
"""Of the standard error of a cross-fitted AUROC where nothing can be read. A fit is then the sum of
chance associations c of the other folds, and the score on fold k is c_k times their sum: over all
folds each product c_k c_l counts twice. Estimates given the fits see variance K(K−1)v², where it is
K(K−1)/2 · 4v²; for any number of folds K the ratio is 2."""


@dataclass(frozen=True)
class Auroc:
    """An AUROC with its interval; NaN where the labels cannot tell."""

    value: float
    lower: float
    upper: float
    documents: int
    """Clusters with a token that counts."""
    documents_with_concept: int
    effective_documents: float
    """Documents of equal size that would tell as much (Kish 1965), the fewer of those with and of
    those without the concept: one document may hold most of either."""


@dataclass(frozen=True)
class Difference:
    """AUROC of a feature minus that of a baseline on the same pairs of tokens."""

    baseline: float
    feature: float
    lower: float
    upper: float

    @property
    def value(self) -> float:
        """Feature − baseline."""
        return self.feature - self.baseline


@dataclass(frozen=True)
class _Combined:
    first: float
    second: float
    variance: float
    df: float


def auroc(
    scores: NDArray[np.floating],
    positive: NDArray[np.bool_],
    cluster: NDArray[np.integer],
    fold: NDArray[np.intp],
    alpha: float,
    inflation: float = 1.0,
) -> Auroc:
    """AUROC of scores within folds, with an interval of confidence 1 − alpha on the logit scale.

    Args:
        scores, positive, cluster, fold: [tokens].
        inflation: of the standard error; `NULL_INFLATION` for scores that were fitted and may have
            found nothing.
    """
    # A constant orders nothing: beside it the variance of the difference is that of the AUROC.
    found = _combine(np.zeros(len(scores), np.float32), scores, positive, cluster, fold)
    counted = counts(positive, cluster)
    value = found.second
    if not np.isfinite(value):
        return Auroc(nan, nan, nan, *counted)
    if value in (0.0, 1.0):
        # No pair is out of order, so that no variance was seen. Of as many documents all may be in
        # order by chance with probability alpha/2 (Clopper and Pearson 1934).
        reach = 1 - (alpha / 2) ** (1 / max(found.df + 1, 1))
        return Auroc(value, max(value - reach, 0), min(value + reach, 1), *counted)
    if not np.isfinite(found.variance):
        return Auroc(value, 0.0, 1.0, *counted)
    reach = inflation * _t(alpha, found.df) * sqrt(found.variance) / (value * (1 - value))
    centre = log(value / (1 - value))
    return Auroc(value, _expit(centre - reach), _expit(centre + reach), *counted)


def counts(positive: NDArray[np.bool_], cluster: NDArray[np.integer]) -> tuple[int, int, float]:
    """Documents, documents with the concept, and effective documents, as `Auroc` has them."""
    names, of_token = np.unique(cluster, return_inverse=True)
    sizes = np.zeros((len(names), 2))
    for column, mask in enumerate((positive, ~positive)):
        sizes[:, column] = np.bincount(of_token[mask], minlength=len(names))
    effective = float(effective_clusters(sizes).min())
    return len(sizes), int(np.count_nonzero(sizes[:, 0])), effective


def difference(
    baseline: NDArray[np.floating],
    feature: NDArray[np.floating],
    positive: NDArray[np.bool_],
    cluster: NDArray[np.integer],
    fold: NDArray[np.intp],
    alpha: float,
) -> Difference:
    """AUROC of feature minus baseline within folds, with an interval of confidence 1 − alpha.

    Args:
        baseline, feature, positive, cluster, fold: [tokens].
    """
    found = _combine(baseline, feature, positive, cluster, fold)
    delta = found.second - found.first
    if not np.isfinite(found.variance):
        return Difference(found.first, found.second, -1.0, 1.0)
    reach = _t(alpha, found.df) * sqrt(found.variance) if found.variance else 0.0
    return Difference(found.first, found.second, max(delta - reach, -1.0), min(delta + reach, 1.0))


def _combine(
    first: NDArray[np.floating],
    second: NDArray[np.floating],
    positive: NDArray[np.bool_],
    cluster: NDArray[np.integer],
    fold: NDArray[np.intp],
) -> _Combined:
    """Σ w AUROC and Σ w² var over the folds, w the fold's share of all pairs within folds."""
    pairs, parts = [], []
    for k in np.unique(fold):
        here = fold == k
        names, numbers = np.unique(cluster[here], return_inverse=True)
        part = paired_auroc(
            _scores(first[here]),
            _scores(second[here]),
            Labels(positive[here], numbers, len(names)),
        )
        carried = int(np.count_nonzero(positive[here]))
        count = carried * (int(here.sum()) - carried)
        if count:
            pairs.append(count)
            parts.append(part)
    if not parts:
        return _Combined(nan, nan, np.inf, 0.0)
    weight = np.array(pairs, float) / sum(pairs)
    variances = weight**2 * np.array([p.variance for p in parts])
    total = float(variances.sum())
    df = np.maximum([p.df for p in parts], 1.0)
    # Satterthwaite's degrees of freedom of a sum of independent variances.
    usable = np.isfinite(total) and total > 0
    return _Combined(
        float(weight @ [p.baseline for p in parts]),
        float(weight @ [p.candidate for p in parts]),
        total,
        float(total**2 / (variances**2 / df).sum()) if usable else float(df.sum()),
    )


def _scores(values: NDArray[np.floating]) -> Scores:
    stored = np.flatnonzero(values)
    return Scores(values) if 2 * len(stored) > len(values) else Scores(values[stored], stored)


def _t(alpha: float, df: float) -> float:
    return float(stats.t.ppf(1 - alpha / 2, max(df, 1.0)))


def _expit(x: float) -> float:
    return 1 / (1 + exp(-x)) if x > -700 else 0.0
