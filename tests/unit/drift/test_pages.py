"""Simultaneous intervals: few false pages among many correlated features."""

import json

import numpy as np
import pytest
from scipy import stats

from workers.drift.activity import count_activity
from workers.drift.estimands import (
    Estimates,
    dense_estimates,
    effective_clusters,
    jackknife,
    variance_of_variance,
)
from workers.drift.inference import infer
from workers.drift.ladder import judge
from workers.drift.pages import MaxT, PageRequest, Pages, page
from workers.drift.policy import Policy
from workers.drift.sums import dense_sums

ALPHA = 0.1


def means(values: np.ndarray, sizes: np.ndarray) -> Estimates:
    """Each feature's mean over tokens, from means by cluster, as an estimand on its own scale."""
    total = np.broadcast_to(sizes[:, None], values.shape)
    point, variance, influence = jackknife(lambda x, n: x / n, (values * total, total))
    features = values.shape[1]
    return Estimates(
        point,
        point,
        variance,
        np.ones(features),
        np.zeros(features),
        effective_clusters(total) - 1,
        variance_of_variance(influence, total),
        np.zeros(features, bool),
        influence,
    )


def correlated(rng: np.random.Generator, clusters: int, features: int, share: float) -> np.ndarray:
    loadings = rng.normal(size=(3, features))
    common = rng.normal(size=(clusters, 3)) @ (loadings / np.sqrt((loadings**2).sum(0)))
    own = rng.normal(size=(clusters, features))
    return np.sqrt(share) * common + np.sqrt(1 - share) * own


@pytest.mark.parametrize(("share", "spread"), [(0.0, 0.1), (0.9, 0.1), (0.5, 1.0)])
def test_of_many_comparisons_with_true_nulls_at_most_alpha_miss_any(
    share: float, spread: float
) -> None:
    """Also where a few long documents carry most of the tokens."""
    rng = np.random.default_rng(0)
    repetitions, missed = 150, 0
    for _ in range(repetitions):
        sizes = np.maximum(rng.lognormal(4, spread, 50), 1).round()
        found = means(correlated(rng, 50, 100, share), sizes)
        null = MaxT(50, 200, 0)
        assert found.influence is not None
        null.add(found.influence)
        known = infer("shift", found, Policy(), np.zeros(100, int))
        reach = stats.t.isf(stats.norm.sf(null.critical(ALPHA)), known.df) * known.point_se
        missed += bool((np.abs(known.point) > reach).any())
    assert missed <= stats.binom.ppf(0.999, repetitions, ALPHA)


def test_features_that_move_together_cost_less_than_as_many_tests() -> None:
    rng = np.random.default_rng(0)
    alike, apart = MaxT(200, 1000, 0), MaxT(200, 1000, 0)
    one = rng.normal(size=(200, 1))
    alike.add(np.repeat(one - one.mean(), 500, axis=1))
    values = rng.normal(size=(200, 500))
    apart.add(values - values.mean(0))
    bonferroni = stats.norm.isf(ALPHA / 2 / 500)
    assert alike.critical(ALPHA) < 1.9
    assert 0.93 * bonferroni < apart.critical(ALPHA) < 1.03 * bonferroni


def test_blocks_scales_and_order_of_clusters_do_not_matter() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(60, 40))
    values -= values.mean(0)
    whole, parts = MaxT(60, 300, 7), MaxT(60, 300, 7)
    whole.add(values)
    for first in range(0, 40, 7):
        parts.add(values[:, first : first + 7] * 1000)
    assert parts.maxima == pytest.approx(whole.maxima, rel=1e-5)
    assert parts.tests == whole.tests == 40
    few, padded = MaxT(60, 300, 7), MaxT(60, 300, 7)
    some = np.arange(10, 30)
    few.add(values[some], some)
    padded.add(np.where(np.isin(np.arange(60), some)[:, None], values, 0))
    assert few.maxima == pytest.approx(padded.maxima, rel=1e-5)
    other = MaxT(60, 300, 8)
    other.add(values)
    assert (other.maxima != whole.maxima).any()


def test_an_alpha_that_the_draws_cannot_show_falls_back_on_bonferroni() -> None:
    rng = np.random.default_rng(0)
    null = MaxT(500, 200, 0)
    null.add(rng.normal(size=(500, 30)))
    assert null.critical(1e-5) == pytest.approx(stats.norm.isf(1e-5 / 60))
    assert null.critical(1 / 202) >= null.maxima.max()


def test_a_feature_carried_by_one_cluster_does_not_shorten_the_intervals() -> None:
    influence = np.zeros((50, 1))
    influence[0] = 1
    null = MaxT(50, 500, 0)
    null.add(influence)
    assert (null.maxima[0] == 1).all()
    assert null.critical(0.05) > 1.8
    empty = MaxT(50, 500, 0)
    empty.add(np.zeros((50, 3)))
    empty.add(np.full((50, 2), np.nan))
    assert empty.tests == 0
    assert empty.critical(0.05) == pytest.approx(stats.norm.isf(0.025))


def dense_pages(b: np.ndarray, a: np.ndarray, alpha: float = 0.05) -> Pages:
    cluster = np.repeat(np.arange(60), len(a) // 60)
    features = a.shape[1]
    sums = dense_sums(a, b, cluster, 60, np.zeros(features))
    found = dense_estimates(sums, influence=True)
    table = judge(
        tuple(f"f{i}" for i in range(features)),
        count_activity(sums, dense=True),
        {e: (np.arange(features), x) for e, x in found.items()},
        Policy(),
    )
    null = MaxT(60, 500, 0)
    for estimates in found.values():
        assert estimates.influence is not None
        null.add(estimates.influence)
    return page(table, dict.fromkeys(found, np.ones(features, bool)), null, alpha)


def test_only_what_lies_beyond_its_margin_pages() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=(1200, 6))
    b = a + 0.05 * rng.normal(size=a.shape)
    b[:, 0] += 1.0
    b[:, 1] -= 1.0
    b[:, 2] += 0.1
    b[:, 3] *= 2
    b[:, 4] = a[:, 4]
    pages = dense_pages(b, a)
    assert pages.paged.tolist() == [True, True, False, True, False, False]
    for name in ("f0", "f1", "f2", "f3", "f5"):
        answer = pages.of(name)
        assert set(answer["intervals"]) == {"shift", "scale", "identity_dense"}
        lower, upper = answer["intervals"]["shift"]
        assert lower < upper
        assert json.loads(json.dumps(answer)) == answer
    assert pages.of("f4")["intervals"]["shift"] == [0, 0]
    assert pages.of("nobody") == {
        "paged": False,
        "alpha": 0.05,
        "critical": pages.critical,
        "intervals": {},
    }


def test_simultaneous_intervals_are_longer_than_single_ones_and_grow_with_confidence() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=(1200, 20))
    b = a + 0.3 * rng.normal(size=a.shape) + 0.1
    loose, strict = dense_pages(b, a, 0.2), dense_pages(b, a, 0.01)
    for estimand in ("shift", "scale", "identity_dense"):
        (a0, a1), (b0, b1) = loose.intervals[estimand], strict.intervals[estimand]
        assert ((b0 < a0) & (a1 < b1)).all()


@pytest.mark.parametrize("wrong", [{"alpha": 0.0}, {"alpha": 1.0}, {"alpha": 0.05, "draws": 10}])
def test_a_request_that_makes_no_sense_is_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match=r"alpha|draws"):
        PageRequest(None, **wrong)


def test_a_request_names_features_or_asks_for_all() -> None:
    assert PageRequest(None, 0.05).asks_for(("a", "b")).tolist() == [True, True]
    assert PageRequest({"b", "c"}, 0.05).asks_for(("a", "b")).tolist() == [False, True]
