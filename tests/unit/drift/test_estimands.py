"""Estimands and jackknife, against loops, numpy and statsmodels."""

from collections.abc import Callable

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.sparse import csr_array

from workers.drift.estimands import (
    Estimates,
    dense_estimates,
    effective_clusters,
    sparse_estimates,
)
from workers.drift.policy import Estimand
from workers.drift.sums import PairedSums, dense_sums, sparse_sums

CLUSTERS, LENGTH = 60, 40


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Three features at tokens of unequal documents; the candidate fires a little elsewhere."""
    rng = np.random.default_rng(1)
    cluster = np.repeat(np.arange(CLUSTERS), rng.integers(5, 2 * LENGTH, CLUSTERS))
    mood = rng.normal(size=(CLUSTERS, 3))[cluster] * 0.5
    a = rng.normal(size=(len(cluster), 3)) + mood
    b = 1.1 * a + 0.3 * rng.normal(size=a.shape) + 0.2
    return a, b, cluster


def sparse(pair: tuple[np.ndarray, np.ndarray, np.ndarray]) -> PairedSums:
    a, b, cluster = pair
    on_a, on_b = csr_array(np.maximum(a, 0)), csr_array(np.maximum(b, 0))
    return sparse_sums(on_a, on_b, cluster, CLUSTERS, np.zeros(3))


def without(sums: PairedSums, g: int) -> PairedSums:
    return PairedSums(*(np.delete(value, g, axis=0) for value in vars(sums).values()))


@pytest.mark.parametrize("kind", ["sparse", "dense"])
def test_jackknife_equals_recomputing_without_each_document(kind: str, pair: tuple) -> None:
    sums = sparse(pair) if kind == "sparse" else dense_sums(*pair, CLUSTERS, np.zeros(3))
    estimate = sparse_estimates if kind == "sparse" else dense_estimates
    found = estimate(sums)
    for name, whole in found.items():
        points = np.array([estimate(without(sums, g))[name].point for g in range(CLUSTERS)])
        expected = (CLUSTERS - 1) / CLUSTERS * ((points - whole.point) ** 2).sum(0)
        np.testing.assert_allclose(whole.variance, expected, rtol=1e-9, err_msg=name)


def test_log_ratios_agree_with_clustered_poisson_regression(pair: tuple) -> None:
    """log(Σb/Σa) is the slope of a Poisson regression on the side; sandwich against jackknife."""
    sums = sparse(pair)
    found = sparse_estimates(sums)
    side = np.repeat([0.0, 1.0], CLUSTERS)
    for name, a, b in (
        ("rate", sums.both + sums.only_a, sums.both + sums.only_b),
        ("magnitude", sums.co_a, sums.co_b),
    ):
        fit = sm.GLM(
            np.concatenate([a[:, 0], b[:, 0]]), sm.add_constant(side), family=sm.families.Poisson()
        ).fit(cov_type="cluster", cov_kwds={"groups": np.tile(np.arange(CLUSTERS), 2)})
        assert found[name].effect[0] == pytest.approx(fit.params[1], abs=2e-3)
        assert np.sqrt(found[name].variance[0]) == pytest.approx(fit.bse[1], rel=0.1)


def test_dense_estimands_equal_their_textbook_formulas(pair: tuple) -> None:
    a, b, cluster = pair
    found = dense_estimates(dense_sums(a, b, cluster, CLUSTERS, np.zeros(3)))
    x, y = a[:, 0], b[:, 0]
    concordance = (
        2 * np.cov(x, y, bias=True)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
    )
    assert found["shift"].effect[0] == pytest.approx((y.mean() - x.mean()) / x.std())
    assert found["scale"].effect[0] == pytest.approx(np.log(y.std() / x.std()))
    assert found["identity_dense"].effect[0] == pytest.approx(1 - concordance)


def test_scaling_both_sides_changes_no_effect(pair: tuple) -> None:
    a, b, cluster = pair
    before = dense_estimates(dense_sums(a, b, cluster, CLUSTERS, np.zeros(3)))
    after = dense_estimates(dense_sums(8 * a, 8 * b, cluster, CLUSTERS, np.zeros(3)))
    for name, found in before.items():
        np.testing.assert_allclose(after[name].effect, found.effect, rtol=1e-9)
        np.testing.assert_allclose(after[name].variance, found.variance, rtol=1e-6)


def test_the_order_of_documents_changes_nothing(pair: tuple) -> None:
    a, b, cluster = pair
    order = np.random.default_rng(2).permutation(CLUSTERS)
    shuffled = sparse((a, b, order[cluster]))
    for name, found in sparse_estimates(sparse(pair)).items():
        other = sparse_estimates(shuffled)[name]
        np.testing.assert_allclose(other.effect, found.effect, rtol=1e-12)
        np.testing.assert_allclose(other.variance, found.variance, rtol=1e-9)


def test_what_cannot_be_told_is_nan_or_of_infinite_variance_never_a_guess() -> None:
    a = np.array([[0.0, 2.0, 1.0], [0.0, 0.0, 0.0], [0.0, 0.0, 3.0]])
    b = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 2.0]])
    sums = sparse_sums(csr_array(a), csr_array(b), np.array([0, 1, 0]), 2, np.zeros(3))
    found = sparse_estimates(sums)
    assert np.isnan([found[name].point[0] for name in found]).all()  # never fires
    assert np.isnan(found["magnitude"].point[1])  # never both on
    assert np.isinf(found["rate"].variance[2])  # one document holds everything
    constant = dense_estimates(dense_sums(a[:, :1], b[:, :1], np.array([0, 1, 0]), 2, np.zeros(1)))
    assert np.isnan(constant["scale"].point[0])


def test_clusters_of_equal_size_count_in_full_and_one_giant_counts_as_one() -> None:
    sizes = np.array([[3.0, 1e6], [3.0, 1.0], [3.0, 1.0], [0.0, 0.0]])
    np.testing.assert_allclose(effective_clusters(sizes), [3.0, 1.0], rtol=1e-5)


@pytest.mark.parametrize("moved", [0.0, 1e-7, 0.5])
@pytest.mark.parametrize("estimate", [sparse_estimates, dense_estimates])
def test_a_constant_that_stays_is_untold_and_one_that_moves_is_not(
    moved: float, estimate: Callable[[PairedSums], dict[Estimand, Estimates]]
) -> None:
    cluster = np.repeat(np.arange(60), 7)
    a = np.full((len(cluster), 1), np.float32(0.3), dtype=np.float64)
    b = a * (1 + moved)
    if estimate is sparse_estimates:
        sums = sparse_sums(csr_array(a), csr_array(b), cluster, 60, np.zeros(1))
    else:
        sums = dense_sums(a, b, cluster, 60, np.zeros(1))
    found = estimate(sums)
    assert not any(x.identical[0] for x in found.values())
    untold = [bool(np.isnan(x.point[0])) for x in found.values()]
    assert all(untold) if moved < 1e-6 else not all(untold)
