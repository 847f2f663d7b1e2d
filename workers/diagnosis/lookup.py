"""What the token alone tells of a feature: a lookup of the baseline's mean value by token."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Float32 = NDArray[np.float32]
Codes = NDArray[np.intp]


def token_codes(keys: NDArray[np.integer] | None, tokens: int) -> Codes | None:
    """[tokens] the tokens numbered from 0 without gaps.

    Raises:
        ValueError: not one key for each token.
    """
    if keys is None:
        return None
    if keys.shape != (tokens,):
        raise ValueError(
            f"token_keys has shape {keys.shape}, but the sample holds {tokens} tokens; give one "
            "integer for each of them"
        )
    return np.unique(keys, return_inverse=True)[1].reshape(tokens).astype(np.intp)


class TokenLookup:
    """Tables fitted on each half, for reading the other."""

    def __init__(self, codes: Codes, y: Float32, half: NDArray[np.int8]) -> None:
        """Fit both halves.

        Memory: 2 × distinct tokens × features float32.

        Args:
            codes: [n] the token, 0 to K − 1.
            y: [n, features] the baseline's values.
            half: [n] 0 or 1.
        """
        self._codes = codes
        size = int(codes.max()) + 1 if len(codes) else 0
        self._tables = [_table(codes, y, np.flatnonzero(half == fit), size) for fit in (0, 1)]

    def __call__(self, rows: slice, fit: int) -> Float32:
        """Values [rows, features] by what was fitted on half `fit`."""
        values: Float32 = self._tables[fit][self._codes[rows]]
        return values


def _table(codes: Codes, y: Float32, rows: NDArray[np.intp], size: int) -> Float32:
    """[size, features] each token's mean, shrunk to the mean of all.

    A random-effects model: weight n/(n + σ²/τ²) on a token's own mean, with the variances within
    (σ²) and between (τ²) tokens by the analysis of variance (Henderson's method 1; Searle, Casella
    and McCulloch 1992, §3.6). A token not seen has the mean of all.
    """
    here = codes[rows]
    n = np.bincount(here, minlength=size).astype(np.float64)
    total, kinds = max(len(rows), 1), int((n > 0).sum())
    spread = max(total - (n**2).sum() / total, 1.0)
    table = np.zeros((size, y.shape[1]), np.float32)
    for i in range(y.shape[1]):
        values = y[rows, i].astype(np.float64)
        mean = values.sum() / total
        values -= mean
        sums = np.bincount(here, weights=values, minlength=size)
        own = sums / np.maximum(n, 1)
        between = float((sums * own).sum())
        within = max(float(values @ values) - between, 0.0) / max(total - kinds, 1)
        tau = max((between - (kinds - 1) * within) / spread, 0.0)
        weight = n * tau / np.maximum(n * tau + within, np.finfo(float).tiny)
        table[:, i] = mean + weight * own
    return table
