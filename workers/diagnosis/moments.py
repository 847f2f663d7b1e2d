"""Sums over tokens that maps and read-outs are fitted from: one pass, four folds."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

Array = NDArray[np.float64]
Float32 = NDArray[np.float32]

BLOCK = 16384
"""Tokens multiplied at once, in float32; blocks are added in float64."""
FOLDS = 4
FIT_TOKENS = 300
"""Tokens for each coordinate that maps and read-outs are fitted on; all are judged. The error that
width² coefficients add falls with tokens per coordinate, and is below 1% of the residual here."""


@dataclass(frozen=True)
class Centred:
    """Means and covariances (moments divide by n) over some folds."""

    mean_x: Array
    mean_y: Array
    xx: Array
    """[width, width]"""
    xy: Array
    """[width, targets]"""


@dataclass(frozen=True)
class Moments:
    """Raw sums per fold, about a provisional mean so that float32 does not cancel."""

    n: Array
    """[folds]"""
    x: Array
    y: Array
    xx: Array
    """[folds, width, width]"""
    xy: Array
    """[folds, width, targets]"""
    origin_x: Array
    origin_y: Array
    _kept: dict[tuple[int, ...], tuple[Array, Array]] = field(default_factory=dict, repr=False)
    """Spectra by folds: of the predictors alone, so shared by all targets."""

    @classmethod
    def of(cls, x: Float32, y: Float32, fold: NDArray[np.int8]) -> "Moments":
        """The sums of paired rows.

        Args:
            x: [n, width].
            y: [n, targets].
            fold: [n] 0 to 3; rows with another number do not count.
        """
        n, sx, sy, xx, xy = _sums(x, y, fold)
        return cls(n, sx, sy, xx, xy, _origin(x), _origin(y))

    def with_targets(self, x: Float32, y: Float32, fold: NDArray[np.int8]) -> "Moments":
        """The same predictors with other targets, without the products of predictors again."""
        origin = _origin(y)
        total, cross = np.zeros((FOLDS, y.shape[1])), np.zeros((FOLDS, x.shape[1], y.shape[1]))
        shift_x, shift_y = self.origin_x.astype(np.float32), origin.astype(np.float32)
        for f, rows in _pieces(fold):
            v = y[rows] - shift_y
            total[f] += v.sum(0, dtype=np.float64)
            cross[f] += product((x[rows] - shift_x).T, v)
        return replace(self, y=total, xy=cross, origin_y=origin)

    def spectrum(self, folds: list[int]) -> tuple[Array, Array]:
        """Eigenvalues and eigenvectors (columns) of the predictors' covariance over some folds."""
        key = tuple(folds)
        if key not in self._kept:
            values, vectors = np.linalg.eigh(self.centred(folds).xx)
            self._kept[key] = np.maximum(values, 0), vectors
        return self._kept[key]

    def seen_from(self, folds: list[int], basis: list[int]) -> Array:
        """The predictors' covariance over some folds in the eigenvectors of others."""
        key = (*folds, -1, *basis)
        if key not in self._kept:
            _, V = self.spectrum(basis)
            self._kept[key] = V.T @ self.centred(folds).xx @ V, V
        return self._kept[key][0]

    def centred(self, folds: list[int]) -> Centred:
        """Means and covariances over some folds."""
        n = max(self.n[folds].sum(), 1.0)
        x, y = self.x[folds].sum(0) / n, self.y[folds].sum(0) / n
        return Centred(
            x + self.origin_x,
            y + self.origin_y,
            self.xx[folds].sum(0) / n - np.outer(x, x),
            self.xy[folds].sum(0) / n - np.outer(x, y),
        )


def product(x: Float32, y: Float32) -> Float32:
    """x @ y by torch, whose threads a worker limits; twice as fast as numpy's where measured."""
    result: Float32 = torch.matmul(_tensor(x), _tensor(y)).numpy()
    return result


def _tensor(x: Float32) -> torch.Tensor:
    with warnings.catch_warnings():
        # Mapped files are read-only, and nothing here writes.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(x)


def _sums(
    x: Float32, y: Float32, fold: NDArray[np.int8]
) -> tuple[Array, Array, Array, Array, Array]:
    width, targets = x.shape[1], y.shape[1]
    n, sx, sy = np.zeros(FOLDS), np.zeros((FOLDS, width)), np.zeros((FOLDS, targets))
    xx, xy = np.zeros((FOLDS, width, width)), np.zeros((FOLDS, width, targets))
    shift_x, shift_y = (_origin(v).astype(np.float32) for v in (x, y))
    for f, rows in _pieces(fold):
        u, v = x[rows] - shift_x, y[rows] - shift_y
        n[f] += len(u)
        sx[f] += u.sum(0, dtype=np.float64)
        sy[f] += v.sum(0, dtype=np.float64)
        xx[f] += product(u.T, u)
        xy[f] += product(u.T, v)
    return n, sx, sy, xx, xy


def _pieces(fold: NDArray[np.int8]) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """Rows of one fold at a time, near each other, at most `BLOCK` of them."""
    for f in range(FOLDS):
        rows = np.flatnonzero(fold == f)
        for first in range(0, len(rows), BLOCK):
            yield f, rows[first : first + BLOCK]


def _origin(x: Float32) -> Array:
    """A provisional mean that is exact in float32."""
    step = max(len(x) // 4096, 1)
    return x[::step].mean(0).astype(np.float64) if len(x) else np.zeros(x.shape[1])


def site_products(a: Float32, b: Float32, fold: NDArray[np.int8]) -> Array:
    """[folds, 2] Σ⟨a, b⟩ and Σ⟨b, b⟩ over tokens."""
    found = np.zeros((FOLDS, 2))
    for first in range(0, len(a), BLOCK):
        u, v = a[first : first + BLOCK], b[first : first + BLOCK]
        rows = np.stack([np.einsum("ij,ij->i", u, v), np.einsum("ij,ij->i", v, v)], axis=1)
        np.add.at(found, fold[first : first + BLOCK], rows.astype(np.float64))
    return found


def fitted_rows(fold: NDArray[np.int8], width: int) -> NDArray[np.int8]:
    """[n] the folds, with −1 for tokens that nothing is fitted on because there are enough.

    Every so-many-th token stays, so that every document takes part.
    """
    step = max(len(fold) // (FIT_TOKENS * width), 1)
    kept = np.full_like(fold, -1)
    kept[::step] = fold[::step]
    return kept


def assign_folds(cluster: NDArray[np.int64], seed: int) -> NDArray[np.int8]:
    """[n] one of four folds for each token; a cluster lies in one fold.

    Clusters are taken in random order, each to the fold with the fewest tokens so far, so that
    folds are of like size even where one document is very long.

    Args:
        cluster: [n] at least 0.
    """
    sizes = np.bincount(cluster)
    order = np.random.default_rng(seed).permutation(len(sizes))
    chosen, filled = np.zeros(len(sizes), np.int8), np.zeros(FOLDS)
    for index in order:
        if sizes[index]:
            chosen[index] = filled.argmin()
            filled[chosen[index]] += sizes[index]
    return chosen[cluster]
