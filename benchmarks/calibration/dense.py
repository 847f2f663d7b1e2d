"""Paired dense activations with document effects and known truth, drawn as sums per document."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from workers.drift.policy import Policy
from workers.drift.sums import PairedSums

Array = NDArray[np.float64]
Rng = np.random.Generator


@dataclass(frozen=True)
class DenseTruth:
    """Dense features of one comparison; all arrays are [features].

    The baseline is u + e: a document effect and a token's own, of variance 1 together. The
    candidate is slope·a + shift + w + f, with another document effect w and token noise f.
    """

    shift: Array
    slope: Array
    noise: Array
    """Variance of w + f."""
    document_share: Array
    """Of the variances, the part between documents."""

    @property
    def effects(self) -> dict[str, Array]:
        """The true value of each estimand."""
        variance = self.slope**2 + self.noise
        concordance = 2 * self.slope / (1 + variance + self.shift**2)
        return {
            "shift": self.shift,
            "scale": 0.5 * np.log(variance),
            "identity_dense": 1 - concordance,
        }

    def beyond(self, policy: Policy) -> Array:
        """The largest effect in units of its margin."""
        largest: Array = np.max(
            [np.abs(x) / getattr(policy, name) for name, x in self.effects.items()], axis=0
        )
        return largest


def with_effects(shift: Array, scale: Array, identity: Array, document_share: Array) -> DenseTruth:
    """The model with given shift, log ratio of standard deviations and 1 − concordance.

    Raises:
        ValueError: no correlation between the sides gives that identity.
    """
    total = np.exp(2 * scale)
    slope = (1 - identity) * (1 + total + shift**2) / 2
    noise = total - slope**2
    if (noise < -1e-12).any():
        worst = int(np.argmin(noise))
        raise ValueError(
            f"1 − CCC of {identity[worst]:g} is below what a shift of {shift[worst]:g} and a scale "
            f"of {scale[worst]:g} allow; ask for more"
        )
    return DenseTruth(shift, slope, np.maximum(noise, 0), document_share)


def least_identity(shift: Array, scale: Array) -> Array:
    """1 − CCC of sides that differ by shift and scale alone."""
    return 1 - 2 * np.exp(scale) / (1 + np.exp(2 * scale) + shift**2)


def dense_sums_of(rng: Rng, tokens: NDArray[np.int64], truth: DenseTruth) -> PairedSums:
    """Gaussian tokens within documents; sums of squares are drawn as Bartlett's Wishart factors."""
    shape = (len(tokens), len(truth.shift))
    n = tokens[:, None].astype(float)
    share = truth.document_share
    u = np.sqrt(share) * rng.normal(size=shape)
    w = np.sqrt(share * truth.noise) * rng.normal(size=shape)
    sd_e, sd_f = np.sqrt(1 - share), np.sqrt((1 - share) * truth.noise)
    mean_e, mean_f = (s * rng.normal(size=shape) / np.sqrt(n) for s in (sd_e, sd_f))
    l11 = np.sqrt(rng.chisquare(n - 1, shape))
    l21, l22 = rng.normal(size=shape), rng.chisquare(n - 2, shape)
    see, sef = (sd_e * l11) ** 2, sd_e * sd_f * l11 * l21
    sff = sd_f**2 * (l21**2 + l22)
    mean_a = u + mean_e
    mean_b = truth.slope * mean_a + truth.shift + w + mean_f
    within_b = truth.slope**2 * see + 2 * truth.slope * sef + sff
    counts = rng.binomial(tokens[:, None], 0.5, shape).astype(np.int32)
    return replace(
        PairedSums.zeros(*shape),
        tokens=tokens.astype(np.int64),
        both=counts,
        sum_a=n * mean_a,
        sum_b=n * mean_b,
        sum_aa=see + n * mean_a**2,
        sum_bb=within_b + n * mean_b**2,
        sum_ab=truth.slope * see + sef + n * mean_a * mean_b,
    )
