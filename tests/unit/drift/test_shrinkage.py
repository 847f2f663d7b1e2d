"""Empirical Bayes variances, on draws from the prior that they assume."""

import numpy as np
import pytest
from scipy.special import polygamma

from workers.drift.shrinkage import fit_prior, shrink, trigamma_inverse


@pytest.mark.parametrize("value", [1e-8, 1e-3, 0.5, 1.0, 30.0, 1e8])
def test_trigamma_inverse_inverts_trigamma(value: float) -> None:
    assert float(polygamma(1, trigamma_inverse(value))) == pytest.approx(value, rel=1e-3)


def test_the_prior_is_recovered_from_draws_of_it() -> None:
    rng = np.random.default_rng(0)
    true = 2.0 * 8 / rng.chisquare(8, 20_000)
    df = np.full(20_000, 20.0)
    prior = fit_prior(true * rng.chisquare(20, 20_000) / 20, df)
    assert prior is not None
    assert prior.df == pytest.approx(8, rel=0.1)
    assert prior.variance == pytest.approx(2.0, rel=0.05)


def test_shrinking_brings_variances_nearer_to_the_truth() -> None:
    rng = np.random.default_rng(1)
    true = 8 / rng.chisquare(8, 2000)
    observed = true * rng.chisquare(10, 2000) / 10
    shrunk, df = shrink(observed, np.full(2000, 10.0), np.zeros(2000, int))
    assert np.mean(np.log(shrunk / true) ** 2) < 0.7 * np.mean(np.log(observed / true) ** 2)
    assert (df > 10).all()


def test_a_variance_of_zero_stays_zero_and_bends_no_other() -> None:
    rng = np.random.default_rng(2)
    observed = rng.chisquare(10, 100) / 10
    df, stratum = np.full(100, 10.0), np.zeros(100, int)
    alone, _ = shrink(observed[:60], df[:60], stratum[:60])
    observed[60:] = 0
    together, after = shrink(observed, df, stratum)
    assert (together[60:] == 0).all()
    assert (after[60:] == 10).all()
    np.testing.assert_allclose(together[:60], alone)


def test_few_features_keep_their_own_variances() -> None:
    observed, df = np.arange(1.0, 6.0), np.full(5, 10.0)
    found, after = shrink(observed, df, np.zeros(5, int))
    assert (found == observed).all()
    assert (after == df).all()
