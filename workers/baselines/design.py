"""What a baseline is fitted on: the activations of one site, or of several side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

_CHUNK = 16384
"""Tokens taken at once: lazily read activations of a million tokens are never held twice."""


@dataclass(frozen=True)
class Design:
    """Activations [tokens, width], the sites side by side; they are never copied together.

    Raises:
        ValueError: no site, or sites of different length.
    """

    sites: Sequence[Float32]
    """Each [tokens, width of the site]."""

    def __post_init__(self) -> None:
        lengths = {len(x) for x in self.sites}
        if len(lengths) != 1:
            raise ValueError(
                f"the sites hold {sorted(lengths)} tokens; give one or more sites of equal length"
            )

    def __len__(self) -> int:
        return len(self.sites[0])

    @property
    def width(self) -> int:
        """Over all sites."""
        return sum(x.shape[1] for x in self.sites)

    def rows(self, tokens: NDArray[np.intp]) -> Float32:
        """[len(tokens), width] the activations of some tokens."""
        return np.concatenate([x[tokens] for x in self.sites], axis=1)

    def sums(self, groups: NDArray[np.integer], number: int) -> Float64:
        """[number, width] sums over the tokens of each group.

        Args:
            groups: [tokens] from 0 to number − 1.
        """
        total = np.zeros((number, self.width))
        for tokens in self._chunks():
            one_hot = (np.arange(number)[:, None] == groups[None, tokens]).astype(np.float32)
            total += np.concatenate([one_hot @ x[tokens] for x in self.sites], axis=1)
        return total

    def project(self, weights: Float64) -> Float64:
        """[tokens, directions] products with weights [width, directions]."""
        result = np.empty((len(self), weights.shape[1]))
        bounds = np.cumsum([0, *(x.shape[1] for x in self.sites)])
        parts = [weights[bounds[i] : bounds[i + 1]] for i in range(len(self.sites))]
        for tokens in self._chunks():
            result[tokens] = sum(
                x[tokens].astype(np.float64) @ w for x, w in zip(self.sites, parts, strict=True)
            )
        return result

    def _chunks(self) -> list[slice]:
        return [slice(i, i + _CHUNK) for i in range(0, len(self), _CHUNK)]
