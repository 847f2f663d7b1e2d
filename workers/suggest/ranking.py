"""AUROC of every latent of a dictionary at once, for as many sets of labels as one likes."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array, csr_array

Float64 = NDArray[np.float64]

_CELLS = 1 << 24
"""Latents × labels of one product held at once: 128 MB."""
GUARD = 0.01
"""Shifts by less than this share of the tokens leave labels within reach of where they belong."""


class Ranks:
    """Midranks of the stored values of each latent, above the midrank of its zeros.

    An AUROC is a sum of ranks (Mann and Whitney 1947), and a latent's zeros are all tied: with the
    ranks counted from that of the zeros, the sum is a sparse product with the labels.
    """

    def __init__(self, values: csr_array) -> None:
        """Rank the values of each column.

        Args:
            values: [tokens, latents]; values may be negative.
        """
        columns = csc_array(values)
        columns.eliminate_zeros()
        n, width = columns.shape
        stored = np.diff(columns.indptr)
        of_value = np.repeat(np.arange(width), stored)
        order = np.lexsort((columns.data, of_value))
        value = columns.data[order]
        first = np.flatnonzero(
            np.concatenate([[True], (np.diff(of_value) != 0) | (np.diff(value) != 0)])
            if len(value)
            else np.zeros(0, bool)
        )
        sizes = np.diff(first, append=len(value))
        place = np.arange(len(value)) - columns.indptr[of_value]
        middle = np.repeat(place[first] + (sizes + 1) / 2, sizes)
        negative = np.bincount(of_value, value < 0, width)
        zeros = (n - stored).astype(np.float64)
        # Behind the zeros lies whatever is positive.
        rank = middle + np.where(value > 0, zeros[of_value], 0.0)
        self._zero = negative + (zeros + 1) / 2
        data = np.empty(len(value))
        data[order] = rank - self._zero[of_value]
        self._ranks = csr_array(csc_array((data, columns.indices, columns.indptr), columns.shape).T)
        self.tokens, self.latents = n, width

    def aurocs(self, positive: NDArray[np.bool_]) -> Float64:
        """AUROC of each latent, exact under ties; NaN where all tokens are of one kind.

        Args:
            positive: [tokens, labels].

        Returns:
            [latents, labels].
        """
        m = np.count_nonzero(positive, axis=0).astype(np.float64)
        pairs = m * (self.tokens - m)
        ordered = self._ranks @ positive.astype(np.float64)
        ordered += np.outer(self._zero, m) - m * (m + 1) / 2
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.where(pairs > 0, ordered / pairs, np.nan), np.float64)

    def best_by_chance(
        self, positive: NDArray[np.bool_], shifts: int, rng: np.random.Generator
    ) -> Float64:
        """The highest AUROC of all latents, for labels that mean nothing.

        Labels are shifted around the circle of tokens, which keeps the lengths of their runs and
        so the dependence of neighbours.

        Args:
            positive: [tokens].
            shifts: how many sets of labels.

        Returns:
            [shifts] ascending.
        """
        guard = max(1, int(GUARD * self.tokens))
        offsets = rng.integers(guard, max(self.tokens - guard, guard + 1), shifts)
        block = max(1, _CELLS // max(self.latents, self.tokens))
        best = [
            self.aurocs(
                np.stack([np.roll(positive, s) for s in offsets[i : i + block]], axis=1)
            ).max(axis=0)
            for i in range(0, shifts, block)
        ]
        return np.sort(np.concatenate(best))
