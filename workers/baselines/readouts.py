"""Three simple read-outs of a concept, cross-fitted: every score comes from the other folds."""

import warnings
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import ThreadpoolController

from workers.baselines.design import Design

Float64 = NDArray[np.float64]
Flags = NDArray[np.bool_]
Folds = NDArray[np.intp]

FIT_TOKENS = 16384
"""Tokens that a probe is fitted on, per fold; half of them may carry the concept."""

MAX_ITERATIONS = 200

_PRIOR_LOGIT_SD = 3.0
"""Of the logit over standardised coordinates: the L2 penalty as a Gaussian prior on the weights
whose strength does not depend on the width."""

_PRIOR_TOKENS = 2.0
"""Occurrences at the base rate that every token of the lookup starts with."""


@dataclass(frozen=True)
class ProbeScores:
    """Out-of-fold logits of a logistic probe."""

    scores: Float64
    """[tokens]"""
    fitted_tokens: int
    """Fewest tokens that any fold's probe was fitted on."""
    converged: bool
    """Whether every fold's solver reached its tolerance within `MAX_ITERATIONS`."""


def probe_scores(design: Design, positive: Flags, fold: Folds, seed: int) -> ProbeScores:
    """A logistic regression with L2 penalty on standardised activations, fitted without the fold.

    Fitted on at most `FIT_TOKENS` tokens: all that carry the concept up to half of them, the rest
    drawn from the others. Sampling by the label moves the intercept alone (Prentice and Pyke 1979),
    which no AUROC sees.

    Args:
        design: activations [tokens, width].
        positive: [tokens] whether the token carries the concept; both kinds outside each fold.
        fold: [tokens] from `cluster_folds`.
    """
    rng = np.random.default_rng(seed)
    folds = int(fold.max()) + 1
    weights = np.zeros((design.width, folds))
    fitted, converged = [], True
    for k in range(folds):
        tokens = fit_tokens(positive, fold != k, rng)
        x = design.rows(tokens)
        centre = x.mean(0, dtype=np.float64)
        # A coordinate that never moves is centred to 0 and gets no weight, whatever its scale.
        scale = x.std(0, dtype=np.float64)
        scale[scale <= 1e-6 * np.abs(centre)] = 1.0
        scale[scale == 0] = 1.0
        x -= centre.astype(np.float32)
        x /= scale.astype(np.float32)
        probe = LogisticRegression(
            C=_PRIOR_LOGIT_SD**2 / design.width, max_iter=MAX_ITERATIONS, tol=1e-4
        )
        # A step of the solver is a millisecond's work; several threads make it five times longer.
        with warnings.catch_warnings(), thread_pools().limit(limits=1):
            # Said by `converged`, where the reader of the figures sees it.
            warnings.simplefilter("ignore", ConvergenceWarning)
            probe.fit(x, positive[tokens])
        converged &= int(probe.n_iter_[0]) < MAX_ITERATIONS
        weights[:, k] = probe.coef_[0] / scale
        fitted.append(len(tokens))
    return ProbeScores(_own_fold(design.project(weights), fold), min(fitted), converged)


@cache
def thread_pools() -> ThreadpoolController:
    """Those of the linear algebra, looked for once: each look takes as long as a small fit."""
    return ThreadpoolController()


def mean_difference_scores(design: Design, positive: Flags, fold: Folds) -> Float64:
    """Projections on the difference of the class means outside the token's fold; [tokens].

    Args:
        design, positive, fold: as for `probe_scores`.
    """
    folds = int(fold.max()) + 1
    group = fold * 2 + positive
    sums = design.sums(group, 2 * folds).reshape(folds, 2, -1)
    counts = np.bincount(group, minlength=2 * folds).reshape(folds, 2, 1)
    means = (sums.sum(0) - sums) / np.maximum(counts.sum(0) - counts, 1)
    return _own_fold(design.project((means[:, 1] - means[:, 0]).T), fold)


def token_lookup_scores(token_keys: NDArray[np.integer], positive: Flags, fold: Folds) -> Float64:
    """Log odds of the concept given the token alone, counted outside the token's fold; [tokens].

    Counts are smoothed towards the base rate π, (N₊ + 2π) / (N + 2), so that a token never seen
    outside its fold has the base rate's odds. Context plays no part.

    Args:
        token_keys: [tokens] one integer for each distinct token (its id).
        positive, fold: as for `probe_scores`.
    """
    folds = int(fold.max()) + 1
    _, key = np.unique(token_keys, return_inverse=True)
    keys = int(key.max()) + 1
    here = np.bincount(fold * keys + key, minlength=folds * keys).reshape(folds, keys)
    with_concept = np.bincount(fold * keys + key, positive, folds * keys).reshape(folds, keys)
    seen, carried = here.sum(0) - here, with_concept.sum(0) - with_concept
    base = carried.sum(1, keepdims=True) / np.maximum(seen.sum(1, keepdims=True), 1)
    share = (carried + _PRIOR_TOKENS * base) / (seen + _PRIOR_TOKENS)
    with np.errstate(divide="ignore"):
        odds = np.log(share) - np.log1p(-share)
    result: Float64 = odds[fold, key]
    return result


def fit_tokens(positive: Flags, usable: Flags, rng: np.random.Generator) -> NDArray[np.intp]:
    """Which of the usable tokens a probe is fitted on, as `probe_scores` says; ascending."""
    carried, others = np.flatnonzero(positive & usable), np.flatnonzero(~positive & usable)
    carried = _draw(carried, max(FIT_TOKENS // 2, FIT_TOKENS - len(others)), rng)
    others = _draw(others, FIT_TOKENS - len(carried), rng)
    return np.sort(np.concatenate([carried, others]))


def _draw(tokens: NDArray[np.intp], most: int, rng: np.random.Generator) -> NDArray[np.intp]:
    return tokens if len(tokens) <= most else rng.choice(tokens, most, replace=False)


def _own_fold(by_fold: Float64, fold: Folds) -> Float64:
    result: Float64 = by_fold[np.arange(len(fold)), fold]
    return result
