"""Empirical Bayes variances, on draws from the prior that they assume."""

import numpy as np
import pytest
from scipy.special import polygamma

from workers.drift.estimands import variance_of_variance
from workers.drift.shrinkage import fit_prior, heavy_tails, shrink, trigamma_inverse


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


@pytest.mark.parametrize("prior_df", [8, np.inf])
def test_a_variance_that_is_not_of_the_prior_is_left_alone(prior_df: float) -> None:
    rng = np.random.default_rng(4)
    true = 1.0 if np.isinf(prior_df) else prior_df / rng.chisquare(prior_df, 5000)
    observed, df = true * rng.chisquare(60, 5000) / 60, np.full(5000, 60.0)
    observed[:3] = [100, 200, 1000]
    shrunk, after = shrink(observed, df, np.zeros(5000, int))
    assert (shrunk[:3] == observed[:3]).all()
    assert (after[:3] == 60).all()
    assert (after[3:] > 60).mean() > 0.999


def test_few_features_keep_their_own_variances() -> None:
    observed, df = np.arange(1.0, 6.0), np.full(5, 10.0)
    found, after = shrink(observed, df, np.zeros(5, int))
    assert (found == observed).all()
    assert (after == df).all()


def test_normal_deviations_have_the_textbook_degrees_of_freedom() -> None:
    rng = np.random.default_rng(0)
    clusters, features = 40, 2000
    tails = variance_of_variance(
        rng.normal(size=(clusters, features)), np.ones((clusters, features))
    )
    df = np.full(features, clusters - 1.0)
    factor = heavy_tails(tails, df, np.zeros(features, int))
    assert 1 <= factor[0] < 1.05


def test_heavy_tails_cost_as_many_degrees_of_freedom_as_the_variances_scatter() -> None:
    """The variance of real variances of t-distributed deviations, against what one draw tells."""
    rng = np.random.default_rng(0)
    clusters, features = 100, 4000
    deviations = rng.standard_t(9, (clusters, features))
    variances = (deviations**2).sum(0)
    true = variances.var() / variances.mean() ** 2
    sizes = np.ones_like(deviations)
    df = np.full(features, clusters - 1.0)
    factor = heavy_tails(variance_of_variance(deviations, sizes), df, np.zeros(features, int))
    assert 2 / (df[0] / factor[0]) == pytest.approx(true, rel=0.15)


def test_a_variance_that_is_a_count_of_tokens_scatters_less_than_the_count() -> None:
    """Deviations as large as their clusters: the design effect is known without error."""
    sizes = np.random.default_rng(0).integers(1, 9, (50, 3)).astype(float)
    assert variance_of_variance(np.sqrt(sizes), sizes) == pytest.approx(0, abs=1e-20)
    assert np.isnan(variance_of_variance(np.zeros((5, 1)), np.ones((5, 1)))).all()


def test_each_stratum_has_its_own_tails_and_unknown_ones_do_not_count() -> None:
    tails = np.array([0.2, 0.4, np.nan, 0.05, np.nan])
    factor = heavy_tails(tails, np.full(5, 20.0), np.array([0, 0, 0, 1, 2]))
    assert factor == pytest.approx([3, 3, 3, 1, 1])
