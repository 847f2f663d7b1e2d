"""Vectors over the vocabulary, kept whole where small, else as a count sketch."""

import numpy as np
from numpy.typing import NDArray

SKETCH = 4096
"""Entries kept of a vector. A sketch's inner products are unbiased, with a standard error of about
‖x‖‖y‖/√4096 (Charikar, Chen and Farach-Colton 2002): 0.016 of a cosine."""


class VocabularySketch:
    """The same linear map for every checkpoint with this vocabulary size."""

    def __init__(self, vocabulary: int, seed: int) -> None:
        self.width = min(vocabulary, SKETCH)
        self._whole = vocabulary <= SKETCH
        rng = np.random.default_rng([seed, vocabulary, 3])
        self._bucket = rng.integers(0, SKETCH, size=vocabulary)
        self._sign = rng.choice(np.array([-1.0, 1.0]), size=vocabulary)

    def __call__(self, vector: NDArray[np.float64]) -> NDArray[np.float64]:
        """[vocabulary] to [width]."""
        if self._whole:
            return vector
        sketch = np.zeros(SKETCH)
        np.add.at(sketch, self._bucket, self._sign * vector)
        return sketch
