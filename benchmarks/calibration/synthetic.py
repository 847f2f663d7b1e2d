"""Paired sparse activations with document effects and known truth, drawn as sums per document.

Sums over the tokens of a document are all that the statistics read, and in the models below their
law has a closed form, so that a document is drawn in one go. Of the tokens where either side fires
(the union), a share `both` fires on both, `lost` in the baseline only, `gained` in the candidate
only. The shares vary from document to document; the truth is the ratio of their expectations.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import roots_genlaguerre

from workers.drift.policy import Policy
from workers.drift.sums import PairedSums

Array = NDArray[np.float64]
Counts = NDArray[np.int64]
Rng = np.random.Generator

_NODES = 20
_LEVEL, _DRIFT = 0.3, 0.15
"""Standard deviations of a document's log values, and of their log change."""
_SPREAD = float(np.sqrt(np.expm1(0.8**2)))
"""Coefficient of variation of a feature's values."""
_NOISE = 0.2
"""Standard deviation of a value's own log change."""


@dataclass(frozen=True)
class Truth:
    """Sparse features of one comparison; all arrays are [features]."""

    firing: Array
    """Share of tokens where the baseline is on."""
    lost: Array
    gained: Array
    """Shares of the union."""
    magnitude: Array
    """log E[Σb]/E[Σa] over co-active tokens."""

    @property
    def union(self) -> Array:
        """Share of tokens where either side is on."""
        return self.firing / (1 - self.gained)

    @property
    def effects(self) -> dict[str, Array]:
        """The true value of each estimand."""
        return {
            "rate": np.log((1 - self.lost) / (1 - self.gained)),
            "magnitude": self.magnitude,
            "identity_sparse": self.lost + self.gained,
            "strength": self._strength,
        }

    @property
    def _strength(self) -> Array:
        """1 − concordance of the values at all tokens, from their expected moments."""
        both, level = 1 - self.lost - self.gained, np.exp(_LEVEL**2 / 2)
        ratio, square = np.exp(self.magnitude), 1 + _SPREAD**2
        mean_a = self.union * level * (both + self.lost)
        mean_b = self.union * level * (both * ratio + self.gained)
        scale = self.union * level**4
        aa = scale * (both * square + self.lost)
        bb = scale * (both * square * ratio**2 * np.exp(_DRIFT**2 + _NOISE**2) + self.gained)
        ab = scale * both * square * ratio
        covariance = ab - mean_a * mean_b
        apart = aa - mean_a**2 + bb - mean_b**2 + (mean_b - mean_a) ** 2
        result: Array = 1 - 2 * covariance / apart
        return result

    def beyond(self, policy: Policy) -> Array:
        """The largest effect in units of its margin."""
        largest: Array = np.max(
            [np.abs(x) / getattr(policy, name) for name, x in self.effects.items()], axis=0
        )
        return largest


def document_lengths(rng: Rng, documents: int) -> Counts:
    """Log-normal lengths of about 340 tokens, of at least 20."""
    return np.maximum(rng.lognormal(5.5, 0.8, documents), 20).astype(np.int64)


def beta_binomial(rng: Rng, tokens: Counts, truth: Truth) -> PairedSums:
    """Firing rates and changes differ by document (beta, Dirichlet); tokens are independent."""
    shape = (len(tokens), len(truth.firing))
    rate = _beta(rng, truth.union, rng.uniform(2, 20, shape[1]), shape)
    union = rng.binomial(tokens[:, None], rate)
    return _with_values(rng, tokens, *_split(rng, union, truth), truth, "lognormal")


def bursts(rng: Rng, tokens: Counts, truth: Truth) -> PairedSums:
    """Firing comes in runs with geometric lengths (a two-state Markov chain, rarely on).

    A run is lost, gained or kept as a whole, so that tokens carry far less than their number says.
    """
    shape = (len(tokens), len(truth.firing))
    length = rng.uniform(2, 8, shape[1])
    level = rng.gamma(2, 0.5, shape)
    runs = rng.poisson(tokens[:, None] * truth.union / length * level)
    both, only_a, only_b = (
        n + np.where(n > 0, rng.negative_binomial(np.maximum(n, 1), 1 / length), 0)
        for n in _split(rng, runs, truth)
    )
    return _with_values(rng, tokens, both, only_a, only_b, truth, "gamma")


def low_rank(
    rng: Rng, tokens: Counts, truth: Truth, *, rank: int = 5, world: Rng | None = None
) -> PairedSums:
    """Features share a few factors by document, in their firing and in what they lose and gain.

    Documents with much firing also change more, so that the mean of shares is not the share.

    Args:
        world: draws where features fire at all; given anew with the same seed, several candidates
            are of one corpus and one baseline.
    """
    world = world or rng
    documents, features = len(tokens), len(truth.firing)
    loadings = [x / np.linalg.norm(x, axis=0) for x in world.normal(size=(2, rank, features))]
    x = world.normal(size=(documents, rank)) @ loadings[0]
    w = rng.normal(size=(documents, rank))
    rate_spread, change_spread, correlation = 0.7, 0.8, 0.5
    y = correlation * x + np.sqrt(1 - correlation**2) * (w @ loadings[1])
    change = truth.lost + truth.gained
    rate_at, change_at = _intercepts(truth.union, change, rate_spread, change_spread, correlation)
    rate = _logistic(rate_at + rate_spread * x)
    changed = np.where(change > 0, _logistic(change_at + change_spread * y), 0.0)
    union = world.binomial(tokens[:, None], rate)
    discordant = rng.binomial(union, changed)
    only_a = rng.binomial(discordant, truth.lost / np.maximum(change, 1e-12))
    return _with_values(
        rng, tokens, union - discordant, only_a, discordant - only_a, truth, "gamma"
    )


Family = Callable[[Rng, NDArray[np.int64], Truth], PairedSums]
FAMILIES: dict[str, Family] = {
    "beta-binomial, log-normal values": beta_binomial,
    "bursts": bursts,
    "low-rank correlation": low_rank,
}


def binomial_gamma(rng: Rng, tokens: Counts, truth: Truth) -> PairedSums:
    """As `beta_binomial` with gamma values, whose sums need no draw for each token."""
    shape = (len(tokens), len(truth.firing))
    rate = _beta(rng, truth.union, rng.uniform(2, 20, shape[1]), shape)
    union = rng.binomial(tokens[:, None], rate)
    return _with_values(rng, tokens, *_split(rng, union, truth), truth, "gamma")


def _beta(rng: Rng, mean: Array, concentration: Array, shape: tuple[int, int]) -> Array:
    # Where a rate is tiny, a beta with few pseudo-counts would be 0 in nearly every document.
    total = concentration / np.minimum(mean, 0.5)
    return rng.beta(mean * total, (1 - mean) * total, shape)


def _split(rng: Rng, union: Counts, truth: Truth) -> tuple[Counts, Counts, Counts]:
    """both, only_a, only_b of each document; its shares are Dirichlet around the truth."""
    concentration = rng.uniform(5, 30, len(truth.firing))
    shares = np.stack([1 - truth.lost - truth.gained, truth.lost, truth.gained])
    drawn = rng.gamma(np.maximum(shares * concentration, 1e-12)[:, None, :].repeat(len(union), 1))
    drawn[np.broadcast_to(shares[:, None, :] == 0, drawn.shape)] = 0
    share = drawn / np.maximum(drawn.sum(0), 1e-300)
    both = rng.binomial(union, np.minimum(share[0], 1))
    rest = np.maximum(1 - share[0], 1e-300)
    only_a = rng.binomial(union - both, np.clip(share[1] / rest, 0, 1))
    return both, only_a, union - both - only_a


def _with_values(
    rng: Rng,
    tokens: Counts,
    both: Counts,
    only_a: Counts,
    only_b: Counts,
    truth: Truth,
    values: str,
) -> PairedSums:
    """Values with document effects; b's doubled mean-one noise leaves E[Σb]/E[Σa] as it is."""
    shape = both.shape
    level = np.exp(rng.normal(0, _LEVEL, shape))
    drift = np.exp(truth.magnitude + rng.normal(0, _DRIFT, shape) - _DRIFT**2 / 2)
    co_a, co_b, aa, bb, ab = (_gamma_sums if values == "gamma" else _log_normal_sums)(rng, both)
    co_a, co_b = level * co_a, level * drift * co_b
    a, b = co_a + only_a * level, co_b + only_b * level
    return replace(
        PairedSums.zeros(*shape),
        tokens=tokens.astype(np.int64),
        both=both.astype(np.int32),
        only_a=only_a.astype(np.int32),
        only_b=only_b.astype(np.int32),
        sum_a=a,
        sum_b=b,
        sum_aa=level**2 * (aa + only_a),
        sum_bb=level**2 * (drift**2 * bb + only_b),
        sum_ab=level**2 * drift * ab,
        co_a=co_a,
        co_b=co_b,
    )


def _gamma_sums(rng: Rng, both: Counts) -> tuple[Array, ...]:
    """Σa, Σb, Σa², Σb², Σab of values with the moments of a gamma law, and their noisy copies.

    The law is that of Gauss quadrature, discrete with the gamma's moments up to the eleventh, so
    that a document's tokens are one multinomial draw instead of one for each.
    """
    values, weights = roots_genlaguerre(6, 1 / _SPREAD**2 - 1)
    nodes, chances = np.polynomial.hermite_e.hermegauss(3)
    noise = np.exp(_NOISE * nodes)
    chances = chances / chances.sum()
    # Over three nodes the mean is one only if divided by; the second moment follows to 1e-5.
    noise /= noise @ chances
    a = np.repeat(values * _SPREAD**2, 3)
    b = a * np.tile(noise, 6)
    counts = rng.multinomial(both, np.outer(weights / weights.sum(), chances).ravel())
    return tuple(counts @ x for x in (a, b, a * a, b * b, a * b))


def _log_normal_sums(rng: Rng, both: Counts) -> tuple[Array, ...]:
    """As `_gamma_sums` for log-normal values that differ by log-normal noise of mean one."""
    owner = np.repeat(np.arange(both.size), both.ravel())
    spread = np.sqrt(np.log1p(_SPREAD**2))
    a = np.exp(rng.normal(0, spread, len(owner)) - spread**2 / 2)
    b = a * np.exp(rng.normal(0, _NOISE, len(owner)) - _NOISE**2 / 2)
    return tuple(
        np.asarray(np.bincount(owner, x, both.size), np.float64).reshape(both.shape)
        for x in (a, b, a * a, b * b, a * b)
    )


def _intercepts(
    rate: Array, change: Array, rate_spread: float, change_spread: float, correlation: float
) -> tuple[Array, Array]:
    """Intercepts with E[p] = rate and E[p·c]/E[p] = change, by bisection over a Gaussian grid."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    weights = weights / weights.sum()
    x, v = (g.ravel() for g in np.meshgrid(nodes, nodes))
    weight = np.outer(weights, weights).ravel()
    y = correlation * x + np.sqrt(1 - correlation**2) * v

    def solve(target: Array, value: Callable[[Array], Array]) -> Array:
        low, high = np.full_like(target, -25.0), np.full_like(target, 25.0)
        for _ in range(50):
            middle = (low + high) / 2
            above = value(middle) > target
            low, high = np.where(above, low, middle), np.where(above, middle, high)
        return (low + high) / 2

    rates, back = np.unique(rate, return_inverse=True)
    at = solve(rates, lambda c: _logistic(c[:, None] + rate_spread * nodes) @ weights)[back]
    pairs, back = np.unique(np.stack([at, change]), axis=1, return_inverse=True)
    p = _logistic(pairs[0][:, None] + rate_spread * x) * weight
    p /= p.sum(1, keepdims=True)
    found = solve(pairs[1], lambda c: (p * _logistic(c[:, None] + change_spread * y)).sum(1))
    return at, found[back.ravel()]


def _logistic(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))
