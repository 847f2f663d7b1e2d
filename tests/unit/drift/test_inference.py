"""Intervals and tests of one estimand, against statsmodels on plain samples."""

import numpy as np
import pytest
from statsmodels.stats.weightstats import DescrStatsW

from workers.drift.estimands import Estimates
from workers.drift.inference import infer
from workers.drift.policy import Policy

NO = np.zeros(1, bool)


def estimates(point: float, variance: float, df: float, **changes: np.ndarray) -> Estimates:
    one = np.ones(1)
    values = {
        "effect": point * one,
        "point": point * one,
        "variance": variance * one,
        "unit": one,
        "extra": 0 * one,
        "df": df * one,
        "tails": np.nan * one,
        "identical": NO,
    }
    return Estimates(**(values | changes))


@pytest.mark.parametrize("mean", [-0.5, -0.2, -0.05, 0.0, 0.1, 0.25])
def test_a_two_sided_estimand_is_tested_as_statsmodels_tests_a_mean(mean: float) -> None:
    sample = np.random.default_rng(0).normal(size=30)
    sample = sample - sample.mean() + mean
    reference, margin = DescrStatsW(sample), 0.2
    found = infer(
        "shift",
        estimates(mean, reference.var_ddof(1) / 30, 29),
        Policy(shift=margin, alpha=0.1),
        np.zeros(1, int),
    )
    assert [found.lower[0], found.upper[0]] == pytest.approx(reference.tconfint_mean(0.1))
    assert found.p_stable[0] == pytest.approx(reference.ttost_mean(-margin, margin)[0])
    larger = reference.ttest_mean(margin, "larger")[1]
    smaller = reference.ttest_mean(-margin, "smaller")[1]
    assert found.p_drifted[0] == pytest.approx(min(larger, smaller))


def test_at_its_margin_a_feature_is_neither_drifted_nor_stable() -> None:
    margin = Policy().identity_sparse
    logit = float(np.log(margin / (1 - margin)))
    found = infer("identity_sparse", estimates(logit, 0.01, 50), Policy(), np.zeros(1, int))
    assert found.p_drifted[0] == pytest.approx(0.5)
    assert found.p_stable[0] == pytest.approx(0.5)
    assert found.lower[0] < margin < found.upper[0]


def test_an_interval_starts_at_zero_where_no_token_contradicts_it() -> None:
    free = infer("identity_sparse", estimates(-4, 1, 50), Policy(), np.zeros(1, int))
    bound = infer(
        "identity_sparse", estimates(-4, 1, 50, effect=np.zeros(1)), Policy(), np.zeros(1, int)
    )
    assert bound.lower[0] == 0 < free.lower[0]
    assert bound.upper[0] == free.upper[0]


def test_an_effect_known_without_error_is_decided_outright() -> None:
    for point, drifted, stable in ((0.5, 0.0, 1.0), (0.1, 1.0, 0.0), (0.2, 0.5, 0.5)):
        found = infer("shift", estimates(point, 0, 50), Policy(), np.zeros(1, int))
        assert (found.p_drifted[0], found.p_stable[0]) == (drifted, stable)
