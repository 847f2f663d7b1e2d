"""Variances shrunk between features (Smyth 2004), so that a lucky small one cannot decide."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import polygamma, psi

from workers.drift.multiplicity import benjamini_hochberg

Array = NDArray[np.float64]

MIN_FEATURES = 10
"""A stratum with fewer usable features keeps its own variances."""

_OUTLIERS_Q = 0.05
"""False discovery rate of variances that are too large to come from the prior."""


@dataclass(frozen=True)
class Prior:
    """Scaled inverse chi-squared prior of a variance: `df` observations' worth of `variance`."""

    variance: float
    df: float


def fit_prior(variance: Array, df: Array) -> Prior | None:
    """The prior's parameters by the method of moments on log variances.

    Smyth, G. K. (2004), section 6.2: with e = log s² − ψ(d/2) + log(d/2), the prior's degrees of
    freedom solve ψ′(d₀/2) = var(e) − mean ψ′(d/2).

    Args:
        variance: [features] sample variances, comparable between features.
        df: [features] their degrees of freedom.

    Returns:
        None where too few features have a positive variance.
    """
    usable = np.isfinite(variance) & (variance > 0) & (df >= 1)
    if usable.sum() < MIN_FEATURES:
        return None
    s2, d = variance[usable], df[usable]
    # A variance that is 0 up to rounding would dominate the logarithms.
    s2 = np.maximum(s2, 1e-5 * np.median(s2))
    e = np.log(s2) - psi(d / 2) + np.log(d / 2)
    spread = e.var(ddof=1) - polygamma(1, d / 2).mean()
    if spread <= 0:
        return Prior(float(np.exp(e.mean())), np.inf)
    half = trigamma_inverse(float(spread))
    return Prior(float(np.exp(e.mean() + psi(half) - np.log(half))), 2 * half)


def shrink(variance: Array, df: Array, stratum: NDArray[np.intp]) -> tuple[Array, Array]:
    """Posterior variances and degrees of freedom, each stratum with its own prior.

    A variance of exactly 0 stays 0: nothing moved, and no other feature can say otherwise. One that
    is too large to come from the prior is not shrunk (Phipson et al. 2016): the one latent in
    10,000 that loses whole documents, where the others lose tokens, has nothing in common with
    them.

    Args:
        variance, df: [features].
        stratum: [features] features of one stratum share a prior.

    Returns:
        [features] (d₀s₀² + ds²)/(d₀+d) and d₀+d, at most the sum of all d of the stratum.
    """
    variance, df = variance.copy(), df.copy()
    for value in np.unique(stratum):
        here = stratum == value
        prior = fit_prior(variance[here], df[here])
        if prior is None:
            continue
        floor = 1e-5 * np.median(variance[here & np.isfinite(variance) & (variance > 0)])
        moved = here & np.isfinite(variance) & (variance > floor) & (df >= 1)
        moved[moved] = ~_outliers(variance[moved], df[moved], prior)
        s2, d = variance[moved], df[moved]
        if np.isinf(prior.df):
            variance[moved] = prior.variance
        else:
            variance[moved] = (prior.df * prior.variance + d * s2) / (prior.df + d)
        df[moved] = np.minimum(prior.df + d, d.sum())
    return variance, df


def _outliers(variance: Array, df: Array, prior: Prior) -> NDArray[np.bool_]:
    """Which variances are too large for the prior: s²/s₀² follows F(d, d₀) where it is right."""
    ratio = variance / prior.variance
    p = stats.chi2.sf(ratio * df, df) if np.isinf(prior.df) else stats.f.sf(ratio, df, prior.df)
    return benjamini_hochberg(np.asarray(p, np.float64)) <= _OUTLIERS_Q


def heavy_tails(tails: Array, df: Array, stratum: NDArray[np.intp]) -> Array:
    """By how much heavy tails divide the degrees of freedom of variances.

    A variance with squared coefficient of variation CV² has 2/CV² degrees of freedom. One
    feature's own CV² is a fourth moment and far too noisy; the mean of CV²·df/2 over the features
    of a stratum is less so. It is never below 1: light tails do not add documents.

    Args:
        tails: [features] CV² of each variance, NaN where it is not known.
        df: [features] degrees of freedom with normal tails.

    Returns:
        [features] at least 1.
    """
    factor = np.ones(len(df))
    for value in np.unique(stratum):
        here = stratum == value
        usable = here & np.isfinite(tails) & (df >= 1)
        if usable.any():
            factor[here] = max(1.0, float((tails * df / 2)[usable].mean()))
    return factor


def trigamma_inverse(value: float) -> float:
    """The x with ψ′(x) = value, by Newton's method on 1/ψ′ (Smyth 2004, appendix).

    Args:
        value: above 0.
    """
    if value > 1e7:
        return float(1 / np.sqrt(value))
    if value < 1e-6:
        return 1 / value
    x = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(polygamma(1, x))
        step = trigamma * (1 - trigamma / value) / float(polygamma(2, x))
        x += step
        if -step / x < 1e-8:
            break
    return x
