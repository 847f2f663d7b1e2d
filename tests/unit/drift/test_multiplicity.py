"""Corrections for many tests, against statsmodels."""

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from workers.drift.multiplicity import benjamini_hochberg, holm, wilson


def test_holm_and_benjamini_hochberg_agree_with_statsmodels() -> None:
    p = np.random.default_rng(0).beta(0.3, 1, 50)
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1])
    np.testing.assert_allclose(benjamini_hochberg(p), multipletests(p, method="fdr_bh")[1])


def test_tests_that_were_not_made_count_for_nothing() -> None:
    p = np.array([0.01, np.nan, 0.04, 0.03])
    made = np.isfinite(p)
    for function, method in ((holm, "holm"), (benjamini_hochberg, "fdr_bh")):
        found = function(p)
        np.testing.assert_allclose(found[made], multipletests(p[made], method=method)[1])
        assert np.isnan(found[1])
    assert np.isnan(benjamini_hochberg(np.full(3, np.nan))).all()


@pytest.mark.parametrize(("successes", "trials"), [(0, 7), (3, 40), (40, 40)])
def test_wilson_agrees_with_statsmodels(successes: int, trials: int) -> None:
    expected = proportion_confint(successes, trials, method="wilson")
    assert wilson(successes, trials) == pytest.approx(expected, abs=1e-12)


def test_a_share_of_nothing_has_no_interval() -> None:
    assert wilson(0, 0) is None
