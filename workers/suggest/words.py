"""What the words alone tell of a concept: the token and those before it, without a model."""

import warnings

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, hstack
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from workers.baselines.readouts import MAX_ITERATIONS, fit_tokens, thread_pools

WINDOW = 32
"""Tokens before the token itself that the bag holds, of the same sequence."""


def bag_of_words_scores(
    keys: NDArray[np.integer],
    sequence: NDArray[np.integer],
    positive: NDArray[np.bool_],
    fitted: NDArray[np.bool_],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Logits of a logistic regression on the token and on which tokens stand before it; [tokens].

    Args:
        keys: [tokens] token ids.
        sequence: [tokens] ascending.
        positive: [tokens] whether the token carries the concept.
        fitted: [tokens] those that may be fitted on; only tokens seen there have a weight.
    """
    known = np.unique(keys[fitted])
    place = np.searchsorted(known, keys)
    place[place == len(known)] = 0
    place = np.where(known[place] == keys, place, -1)
    bags = _bags(place, sequence, len(known))
    chosen = fit_tokens(positive, fitted, rng)
    probe = LogisticRegression(max_iter=MAX_ITERATIONS, tol=1e-4)
    with warnings.catch_warnings(), thread_pools().limit(limits=1):
        # Of a table that separates its tokens the norm has not settled; its order has.
        warnings.simplefilter("ignore", ConvergenceWarning)
        probe.fit(bags[chosen], positive[chosen])
    return np.asarray(bags @ probe.coef_[0], np.float64)


def _bags(place: NDArray[np.integer], sequence: NDArray[np.integer], known: int) -> csr_array:
    """[tokens, 2 · known] the token itself, and which tokens the window before it holds."""
    n = len(place)
    rows, columns = [], []
    every = np.arange(n)
    for back in range(1, WINDOW + 1):
        here = every[back:][sequence[back:] == sequence[:-back]]
        before = place[here - back]
        rows.append(here[before >= 0])
        columns.append(before[before >= 0])
    row, column = np.concatenate(rows), np.concatenate(columns)
    window = csr_array((np.ones(len(row), np.float32), (row, column)), shape=(n, known))
    window.sum_duplicates()
    window.data[:] = 1
    itself = np.flatnonzero(place >= 0)
    own = csr_array((np.ones(len(itself), np.float32), (itself, place[itself])), shape=(n, known))
    return csr_array(hstack([own, window], format="csr"))
