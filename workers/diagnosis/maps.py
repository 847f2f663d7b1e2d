"""Label-free maps from the candidate's activations at a site to the baseline's."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from workers.diagnosis.moments import Moments, fitted_rows, site_products

Array = NDArray[np.float64]
Float32 = NDArray[np.float32]

PENALTIES = 10.0 ** np.arange(-8, 1)
"""Ridge penalties tried, in units of the mean eigenvalue of the covariance."""

_LEAST = 1e-100
"""A mean eigenvalue of a site that is constant, whose inverse can still be squared."""


@dataclass(frozen=True)
class AffineMap:
    """x → x·M + t."""

    M: Array
    """[width, width]"""
    t: Array
    """[width]"""

    @classmethod
    def scale(cls, factor: float, width: int) -> "AffineMap":
        """x → s·x."""
        return cls(factor * np.eye(width), np.zeros(width))

    def __call__(self, x: Float32) -> Float32:
        """Mapped activations [T, width]."""
        mapped: Float32 = x @ self.M.astype(np.float32) + self.t.astype(np.float32)
        return mapped


class SiteMaps:
    """The maps of one site; `half` 0 or 1 is the half they are fitted on, None everything."""

    def __init__(
        self, read: Callable[[], tuple[Float32, Float32]], fold: NDArray[np.int8], width: int
    ) -> None:
        """Nothing is read or computed before it is asked for.

        Args:
            read: gives baseline and candidate [n, width]; they are not kept.
            fold: [n] 0 and 1 make up the first half, 2 and 3 the second.
        """
        self._read, self._fold = read, fold
        self.width = width
        self._maps: dict[tuple[str, int | None], AffineMap] = {}

    @cached_property
    def moments(self) -> Moments:
        """Second moments of the candidate, and of both sides."""
        a, b = self._read()
        return Moments.of(b, a, fitted_rows(self._fold, self.width))

    @cached_property
    def _products(self) -> Array:
        return site_products(*self._read(), self._fold)

    def factor(self, half: int | None) -> float:
        """The scale s that brings s·b closest to a, by least squares."""
        ab, bb = self._products[folds_of(half)].sum(0)
        return float(ab / bb) if bb > 0 else 1.0

    def get(self, kind: str, half: int | None) -> AffineMap:
        """A map: `scale`, `procrustes` or `ridge`."""
        if (kind, half) not in self._maps:
            fit = {"scale": self._scale, "procrustes": self._procrustes, "ridge": self._ridge}
            self._maps[kind, half] = fit[kind](half)
        return self._maps[kind, half]

    def _scale(self, half: int | None) -> AffineMap:
        return AffineMap.scale(self.factor(half), self.width)

    def _procrustes(self, half: int | None) -> AffineMap:
        """The rotation or reflection between centred activations (Schönemann 1966)."""
        found = self.moments.centred(folds_of(half))
        U, _, Vt = np.linalg.svd(found.xy)
        Q = U @ Vt
        return AffineMap(Q, found.mean_y - found.mean_x @ Q)

    def _ridge(self, half: int | None) -> AffineMap:
        M, t = ridge(self.moments, half, shared=True)
        return AffineMap(M, t)


def folds_of(half: int | None) -> list[int]:
    """The folds of a half."""
    return [0, 1, 2, 3] if half is None else [2 * half, 2 * half + 1]


def ridge(moments: Moments, half: int | None, *, shared: bool) -> tuple[Array, Array]:
    """Ridge regression of all targets, its penalty chosen between the two folds of each half.

    Args:
        shared: whether all targets share one penalty (a map) or each has its own (read-outs).

    Returns:
        Weights [width, targets] and intercepts [targets].
    """
    halves = (0, 1) if half is None else (half,)
    chosen = np.mean([np.log(_penalty(moments, h, shared)) for h in halves], axis=0)
    found = moments.centred(folds_of(half))
    values, vectors = moments.spectrum(folds_of(half))
    penalty = np.exp(chosen) * max(values.mean(), np.finfo(float).tiny)
    shrunk = vectors.T @ found.xy / (values[:, None] + penalty)
    W = vectors @ shrunk
    return W, found.mean_y - found.mean_x @ W


def _penalty(moments: Moments, half: int, shared: bool) -> Array:
    """[targets] the penalty with the smallest squared error on the half's other fold."""
    one, other = ([fold] for fold in folds_of(half))
    first, second = moments.centred(one), moments.centred(other)
    values, vectors = moments.spectrum(one)
    mean = max(values.mean(), _LEAST)
    rotated = vectors.T @ first.xy
    # Σ(y − ŷ)² up to Σy², in the eigenbasis: one product for all penalties.
    xx, xy = moments.seen_from(other, one), vectors.T @ second.xy
    errors = []
    if shared:
        # The sum over all targets: tr(wᵀ·xx·w), with w a rescaling of `rotated`'s rows.
        square, cross = xx * (rotated @ rotated.T), (rotated * xy).sum(1)
        for penalty in PENALTIES:
            d = 1 / (values + penalty * mean)
            errors.append(d @ square @ d - 2 * d @ cross)
        return np.full(rotated.shape[1], PENALTIES[int(np.argmin(errors))])
    for penalty in PENALTIES:
        w = rotated / (values[:, None] + penalty * mean)
        errors.append((w * (xx @ w)).sum(0) - 2 * (w * xy).sum(0))
    return PENALTIES[np.stack(errors).argmin(0)]
