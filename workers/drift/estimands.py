"""Estimands as ratios of sums, with delete-one-cluster jackknife variances in closed form.

Each estimand is estimated on a working scale where its distribution is closest to normal, and
mapped back: rate, magnitude and scale are logarithms already; identity of sparse features works on
the logit, concordances on Fisher's z (Lin 1989). Half counts keep logarithms finite
(Haldane 1956; Anscombe 1956).
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from workers.drift.policy import CLOSEST, Estimand
from workers.drift.sums import PairedSums

Array = NDArray[np.float64]

_MOMENTS = ("sum_a", "sum_b", "sum_aa", "sum_bb", "sum_ab")
MIN_CO_ACTIVE = 10
"""With fewer tokens where both sides are on a concordance of strengths says nothing."""
_PRECISION = 1e-12
"""Squared: a standard deviation below a millionth of the mean is rounding of float32 values."""


@dataclass(frozen=True)
class Estimates:
    """One estimand of some features; all arrays are [features].

    NaN in `point` says that the data cannot tell (no token where both sides are on, no spread).
    """

    effect: Array
    """The estimate in the estimand's own units."""
    point: Array
    """The estimate on the working scale."""
    variance: Array
    """Jackknife variance of `point`."""
    unit: Array
    """Variance of `point` if tokens were independent, up to a factor that features share.

    `variance / unit` is what features have in common (a design effect; Kish 1965) and what is
    shrunk between them.
    """
    extra: Array
    """Variance that counts too small for the jackknife still owe; vanishes as counts grow."""
    df: Array
    """Degrees of freedom of `variance`, if clusters deviate normally and as their sizes say."""
    tails: Array
    """Squared coefficient of variation of `variance / unit`, from `variance_of_variance`; 2/df
    where deviations are normal, more where few clusters carry them."""
    identical: NDArray[np.bool_]
    """Both sides have the same value at every token: the effect is 0 and has no error."""
    influence: Array | None = None
    """[clusters, features] by how much `point` moves without each cluster, centred; None where it
    was not asked for."""

    @staticmethod
    def concatenate(parts: list["Estimates"]) -> "Estimates":
        """Features one after another, without their influence values."""
        names = [f.name for f in fields(Estimates) if f.name != "influence"]
        return Estimates(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))

    def select(self, where: NDArray[np.intp]) -> "Estimates":
        """Some of the features, without their influence values."""
        names = [f.name for f in fields(Estimates) if f.name != "influence"]
        return Estimates(*(getattr(self, name)[where] for name in names))


def sparse_estimates(sums: PairedSums, *, influence: bool = False) -> dict[Estimand, Estimates]:
    """Rate, magnitude, identity and strength of sparse features.

    rate = log[(N₁₁+N₀₁+½)/(N₁₁+N₁₀+½)], magnitude = log(Σb/Σa) over tokens where both are on,
    identity = 1 − N₁₁/(N₁₁+N₁₀+N₀₁), with interval and tests on log[(N₁₀+N₀₁+½)/(N₁₁+½)],
    strength = 1 − CCC of the values at all tokens (Lin 1989), zeros included, where at least
    `MIN_CO_ACTIVE` tokens are on on both sides.

    Args:
        influence: also keep the influence values, which take a number per cluster and feature.
    """
    n11, n10, n01 = (x.astype(np.float64) for x in (sums.both, sums.only_a, sums.only_b))
    t11, t10, t01 = n11.sum(0), n10.sum(0), n01.sum(0)
    discordant, active = t10 + t01, t11 + t10 + t01
    told = (active > 0) & ((discordant > 0) | ~_still(sums))
    same = _identical(sums) & told
    na, nb = t11 + t10 + 0.5, t11 + t01 + 0.5

    here = n10 + n01
    rate, rate_variance, rate_moves = jackknife(
        lambda x, y, z: np.log((x + z + 0.5) / (x + y + 0.5)), (n11, n10, n01)
    )
    # Without a discordant token the jackknife sees no variance, but one may be just around the
    # corner: that one's variance is owed, and less so the more discordant tokens were seen.
    rate_extra = 1 / (na * nb * (1 + discordant))
    cluster_sizes = n11 + n10 + n01
    df = effective_clusters(cluster_sizes) - 1

    with np.errstate(divide="ignore", invalid="ignore"):
        magnitude, magnitude_variance, magnitude_moves = jackknife(
            lambda x, y: np.log(y / x), (sums.co_a, sums.co_b)
        )
        co_active = (sums.co_a.sum(0) > 0) & (sums.co_b.sum(0) > 0)
        magnitude = np.where(told & co_active, magnitude, np.nan)
        identity = np.where(told, discordant / active, np.nan)
    logit, logit_variance, logit_moves = jackknife(
        lambda x, y: np.log((y + 0.5) / (x + 0.5)), (n11, here)
    )
    logit = np.where(told, logit, np.nan)
    rate = np.where(told, rate, np.nan)
    return {
        "rate": Estimates(
            rate,
            rate,
            rate_variance,
            (discordant + 1) / (na * nb),
            rate_extra,
            df,
            variance_of_variance(rate_moves, here),
            same,
            rate_moves if influence else None,
        ),
        "magnitude": Estimates(
            magnitude,
            magnitude,
            magnitude_variance,
            1 / np.maximum(t11, 1),
            np.zeros_like(rate),
            effective_clusters(n11) - 1,
            variance_of_variance(magnitude_moves, n11),
            same,
            magnitude_moves if influence else None,
        ),
        "identity_sparse": Estimates(
            identity,
            logit,
            logit_variance,
            1 / (discordant + 0.5) + 1 / (t11 + 0.5),
            1 / (1 + discordant) ** 2 + 1 / (1 + t11) ** 2,
            df,
            variance_of_variance(
                logit_moves, here / (discordant + 0.5) ** 2 + n11 / (t11 + 0.5) ** 2
            ),
            same,
            logit_moves if influence else None,
        ),
        "strength": _strength(sums, told & (t11 >= MIN_CO_ACTIVE), same, influence=influence),
    }


def _strength(
    sums: PairedSums, told: NDArray[np.bool_], same: NDArray[np.bool_], *, influence: bool
) -> Estimates:
    z, variance, moves = _discordances(sums)
    z = np.where(told & np.isfinite(z), z, np.nan)
    effect = np.where(np.isfinite(z), np.maximum(_discord(sums), 0), np.nan)
    # A token weighs by its squares: a document of a few strong ones outweighs one of many weak.
    sizes = sums.sum_aa + sums.sum_bb
    active = (sums.both + sums.only_a + sums.only_b).sum(0)
    return Estimates(
        effect,
        z,
        variance,
        1 / np.maximum(active, 1),
        np.zeros_like(z),
        effective_clusters(sizes) - 1,
        variance_of_variance(moves, sizes),
        same & np.isfinite(z),
        moves if influence else None,
    )


def dense_estimates(sums: PairedSums, *, influence: bool = False) -> dict[Estimand, Estimates]:
    """Shift, scale and identity of dense features.

    shift = (b̄−ā)/s_a, scale = log(s_b/s_a), identity = 1 − 2s_ab/(s_a²+s_b²+(b̄−ā)²), which is one
    minus Lin's concordance (Lin 1989); moments divide by n.

    Args:
        influence: as for `sparse_estimates`.
    """
    n = sums.tokens.astype(np.float64)[:, None]
    parts = (n, *(getattr(sums, name) for name in _MOMENTS))
    told = ~_still(sums)
    same = _identical(sums) & told
    sizes = np.broadcast_to(n, sums.sum_a.shape)
    df = effective_clusters(sizes) - 1
    unit = 1 / np.maximum(sizes.sum(0), 1)
    none = np.zeros_like(unit)
    with np.errstate(divide="ignore", invalid="ignore"):
        shift, shift_variance, shift_moves = jackknife(_shift, parts)
        scale, scale_variance, scale_moves = jackknife(_scale, parts)
    z, z_variance, z_moves = _discordances(sums)
    shift, scale, z = (np.where(told & np.isfinite(x), x, np.nan) for x in (shift, scale, z))
    discord = np.where(np.isfinite(z), np.maximum(_discord(sums), 0), np.nan)
    found: tuple[tuple[Estimand, Array, Array, Array, Array], ...] = (
        ("shift", shift, shift, shift_variance, shift_moves),
        ("scale", scale, scale, scale_variance, scale_moves),
        ("identity_dense", discord, z, z_variance, z_moves),
    )
    return {
        estimand: Estimates(
            effect,
            point,
            variance,
            unit,
            none,
            df,
            variance_of_variance(moves, sizes),
            same,
            moves if influence else None,
        )
        for estimand, effect, point, variance, moves in found
    }


def _discordances(sums: PairedSums) -> tuple[Array, Array, Array]:
    """Fisher's z of 1 − concordance over all tokens, with `jackknife`'s variance and moves."""
    n = sums.tokens.astype(np.float64)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        return jackknife(_discordance, (n, *(getattr(sums, name) for name in _MOMENTS)))


def effective_clusters(sizes: Array) -> Array:
    """(Σm)²/Σm²: how many clusters of equal size would tell as much (Kish 1965).

    A sum over clusters whose variance is proportional to their size has, by Satterthwaite's
    approximation, this many degrees of freedom, not the number of clusters (Carter, Schnepel and
    Steigerwald 2017). Equal sizes give the number of active clusters.

    Args:
        sizes: [clusters, features] tokens that matter for the estimand.
    """
    total, squares = sizes.sum(0), (sizes * sizes).sum(0)
    return np.divide(total * total, squares, out=np.zeros_like(total), where=squares > 0)


def variance_of_variance(influence: Array, sizes: Array) -> Array:
    """Squared coefficient of variation of a design effect Σu²/Σm, by linearisation of the ratio.

    Σ(u² − ρm)²/(Σu²)² with ρ = Σu²/Σm. By Satterthwaite's approximation such a variance has
    2/CV² degrees of freedom; normal deviations of equal size have 2/clusters.

    Args:
        influence: [clusters, features] u.
        sizes: [clusters, features] m, whose sum is what the variance is proportional to if tokens
            are independent.

    Returns:
        [features] NaN where nothing varies.
    """
    squares = influence * influence
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        total = squares.sum(0)
        residual = squares - total / sizes.sum(0) * sizes
        return np.asarray((residual * residual).sum(0) / (total * total), dtype=np.float64)


def jackknife(
    statistic: Callable[..., Array], parts: tuple[Array, ...]
) -> tuple[Array, Array, Array]:
    """A function of sums, and its delete-one-cluster jackknife variance (Miller 1974).

    Centred at the full estimate, so that clusters without weight contribute exactly nothing.

    Args:
        parts: arrays [clusters, features] (or [clusters, 1]) that the statistic takes summed.

    Returns:
        Estimate and variance, both [features], the variance infinite where one cluster carries
        everything; and the centred deviations, [clusters, features].
    """
    totals = [x.sum(0) for x in parts]
    point = statistic(*totals)
    weight = np.zeros((parts[0].shape[0], len(point)), bool)
    for x in parts:
        weight |= x != 0
    clusters = weight.sum(0)
    deviation = np.where(
        weight, statistic(*(t - x for t, x in zip(totals, parts, strict=True))) - point, 0.0
    )
    variance = (clusters - 1) / np.maximum(clusters, 1) * (deviation**2).sum(0)
    usable = (clusters > 1) & np.isfinite(variance)
    deviation -= np.where(weight, deviation.sum(0) / np.maximum(clusters, 1), 0.0)
    return point, np.where(usable, variance, np.inf), deviation


def _moments(
    n: Array, a: Array, b: Array, aa: Array, bb: Array, ab: Array
) -> tuple[Array, Array, Array, Array]:
    mean_a, mean_b = a / n, b / n
    return (
        mean_b - mean_a,
        _variance(aa / n, mean_a),
        _variance(bb / n, mean_b),
        ab / n - mean_a * mean_b,
    )


def _variance(square: Array, mean: Array) -> Array:
    """The variance; 0 where single precision could not tell the values from their mean."""
    variance = square - mean**2
    return np.where(variance > _PRECISION * mean**2, variance, 0.0)


def _shift(*sums: Array) -> Array:
    difference, variance_a, _, _ = _moments(*sums)
    return difference / np.sqrt(variance_a)


def _scale(*sums: Array) -> Array:
    _, variance_a, variance_b, _ = _moments(*sums)
    return 0.5 * np.log(variance_b / variance_a)


def concordance(n: Array, a: Array, b: Array, aa: Array, bb: Array, ab: Array) -> Array:
    """Lin's (1989) concordance of two paired values from their sums; NaN of two constants."""
    difference, variance_a, variance_b, covariance = _moments(n, a, b, aa, bb, ab)
    return 2 * covariance / (variance_a + variance_b + difference**2)


def _discordance(*sums: Array) -> Array:
    """−atanh(CCC), which grows with 1 − CCC.

    Held where 1 − CCC is `CLOSEST`: nearer to 1 the working scale is ruled by rounding and by
    single tokens at a threshold, and one document could move it by more than all margins. Likewise
    near −1, where every value has changed its sign.
    """
    return -np.arctanh(np.clip(concordance(*sums), -1 + CLOSEST, 1 - CLOSEST))


def _discord(sums: PairedSums) -> Array:
    """1 − CCC over all tokens, as it is."""
    totals = (getattr(sums, name).sum(0) for name in _MOMENTS)
    with np.errstate(divide="ignore", invalid="ignore"):
        return 1 - concordance(np.asarray(sums.tokens.sum(), np.float64), *totals)


def _identical(sums: PairedSums) -> NDArray[np.bool_]:
    """Σ(a−b)² = 0 in every cluster, and the same tokens on."""
    return (
        (sums.sum_aa == sums.sum_ab).all(0)
        & (sums.sum_bb == sums.sum_ab).all(0)
        & (sums.only_a == 0).all(0)
        & (sums.only_b == 0).all(0)
    )


def _still(sums: PairedSums) -> NDArray[np.bool_]:
    """Both sides have one and the same value at every token.

    Such a feature tells tokens no more apart than a feature that never fires: it could not have
    been found to drift, so that its staying equal shows nothing.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        difference, variance_a, variance_b, _ = _moments(
            np.asarray(sums.tokens.sum(), np.float64),
            *(getattr(sums, name).sum(0) for name in _MOMENTS),
        )
        mean = sums.sum_a.sum(0) / sums.tokens.sum()
        same_mean = difference**2 <= _PRECISION * mean**2
    return (variance_a == 0) & (variance_b == 0) & same_mean
