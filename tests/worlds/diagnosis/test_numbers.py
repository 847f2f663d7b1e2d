"""The numeric parts against independent references."""

import numpy as np
import pytest
from scipy import linalg, stats
from sklearn.linear_model import Ridge

from tests.worlds.diagnosis.planted import WIDTH, activations, rotation
from workers.diagnosis.correlation import best_of, correlation, difference
from workers.diagnosis.groups import Sides, value_sums
from workers.diagnosis.lookup import TokenLookup
from workers.diagnosis.maps import PENALTIES, SiteMaps, ridge
from workers.diagnosis.moments import FOLDS, Moments, assign_folds
from workers.diagnosis.search import best_matches
from workers.drift.sums import PairedSums, dense_sums


def folds(n: int, length: int = 60) -> np.ndarray:
    return assign_folds(np.arange(n) // length, 0)


def sums(y: np.ndarray, z: np.ndarray, cluster: np.ndarray) -> PairedSums:
    return dense_sums(y, z, cluster, int(cluster.max()) + 1, np.zeros(y.shape[1]))


def test_a_cluster_lies_in_one_fold_and_folds_are_of_like_size() -> None:
    cluster = np.repeat(np.arange(200), np.random.default_rng(0).integers(1, 200, 200))
    fold = assign_folds(cluster, 3)
    assert all(len(np.unique(fold[cluster == c])) == 1 for c in range(200))
    sizes = np.bincount(fold, minlength=FOLDS)
    assert sizes.min() > 0.95 * sizes.max()
    assert (assign_folds(cluster, 3) == fold).all()
    assert (assign_folds(cluster, 4) != fold).any()


def test_moments_are_numpys() -> None:
    x = activations() + 100
    y = (x @ rotation())[:, :3].astype(np.float32)
    fold = folds(len(x))
    found = Moments.of(x, y, fold).centred([1, 2])
    here = (fold == 1) | (fold == 2)
    joint = np.cov(x[here].astype(float).T, y[here].astype(float).T, bias=True)
    np.testing.assert_allclose(found.xx, joint[:WIDTH, :WIDTH], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found.xy, joint[:WIDTH, WIDTH:], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found.mean_y, y[here].mean(0, dtype=float), rtol=1e-5)


def test_procrustes_is_scipys() -> None:
    a = activations()
    b = (a @ rotation() + 0.3 * activations(5)).astype(np.float32)
    fold = folds(len(a))
    found = SiteMaps(lambda: (a, b), fold, WIDTH).get("procrustes", 0)
    here = fold < 2
    Q, _ = linalg.orthogonal_procrustes(b[here] - b[here].mean(0), a[here] - a[here].mean(0))
    np.testing.assert_allclose(found.M, Q, atol=1e-4)
    np.testing.assert_allclose(found(b[here]).mean(0), a[here].mean(0), atol=1e-4)


def test_ridge_is_scikit_learns_at_the_chosen_penalty() -> None:
    a = activations(documents=20)
    b = (a @ rotation() + 2 * activations(5, documents=20)).astype(np.float32)
    fold = folds(len(a))
    moments = Moments.of(b, a[:, :2], fold)
    W, c = ridge(moments, 1, shared=True)
    here = fold >= 2
    scale = np.linalg.eigvalsh(np.cov(b[here].astype(float).T, bias=True)).mean() * here.sum()
    fits = [Ridge(alpha=p * scale).fit(b[here].astype(float), a[here, :2]) for p in PENALTIES]
    distance = [np.abs(fit.coef_.T - W).max() for fit in fits]
    assert min(distance) < 1e-4
    np.testing.assert_allclose(c, fits[int(np.argmin(distance))].intercept_, atol=1e-3)


def test_correlation_is_scipys_and_its_interval_covers() -> None:
    rng = np.random.default_rng(0)
    cluster = np.repeat(np.arange(100), 30)
    covered = 0
    for _ in range(200):
        shared = np.repeat(rng.normal(size=(100, 1)), 30, axis=0)
        y = rng.normal(size=(3000, 1)) + shared
        z = y + rng.normal(size=(3000, 1))
        found = correlation(sums(y, z, cluster), 0.05)
        assert found.point[0] == pytest.approx(stats.pearsonr(y[:, 0], z[:, 0])[0], abs=1e-9)
        covered += int(found.lower[0] <= np.sqrt(2 / 3) <= found.upper[0])
    assert 180 <= covered <= 198


def test_the_difference_of_a_readout_with_itself_is_zero() -> None:
    rng = np.random.default_rng(1)
    cluster = np.repeat(np.arange(50), 20)
    y, z, noise = (rng.normal(size=(1000, 2)) for _ in range(3))
    one, other = sums(y, y + z, cluster), sums(y, y + 3 * noise, cluster)
    same = difference(one, one, 0.05)
    assert (same.point == 0).all()
    assert (same.upper == 0).all()
    assert (difference(one, other, 0.05).lower > 0.2).all()
    np.testing.assert_array_equal(best_of([other, one]).sum_ab, one.sum_ab)


def test_a_constant_has_no_correlation() -> None:
    cluster = np.repeat(np.arange(50), 20)
    y = np.random.default_rng(1).normal(size=(1000, 1))
    assert np.isnan(correlation(sums(y, np.ones((1000, 1)), cluster), 0.05).point[0])


def test_a_match_stands_out_of_the_searchs_own_noise() -> None:
    rng = np.random.default_rng(2)
    z = rng.normal(size=(2000, 300)).astype(np.float32)
    y = np.stack([z[:, 17], rng.normal(size=2000)], axis=1).astype(np.float32)
    found = best_matches(["there", "nowhere"], y, z)
    assert found["there"].index == 17
    assert found["there"].correlation == pytest.approx(1, abs=1e-4)
    assert found["there"].correlation > 5 * found["there"].noise
    assert found["nowhere"].correlation < 1.5 * found["nowhere"].noise


def test_a_token_lookup_is_the_mean_by_token_of_the_other_half() -> None:
    rng = np.random.default_rng(4)
    codes = rng.integers(0, 20, 40_000)
    half = (np.arange(40_000) % 2).astype(np.int8)
    y = (rng.normal(size=20)[codes] + 0.1 * rng.normal(size=40_000)).astype(np.float32)[:, None]
    lookup = TokenLookup(codes, y, half)
    here = half == 0
    mean = np.bincount(codes[here], y[here, 0]) / np.bincount(codes[here])
    np.testing.assert_allclose(lookup(slice(0, 1000), 0)[:, 0], mean[codes[:1000]], atol=1e-3)


def test_rare_tokens_are_shrunk_by_what_varies_within_and_between() -> None:
    rng = np.random.default_rng(5)
    # Two occurrences each, variance 1 between tokens and 1 within: two thirds of the way.
    codes = np.concatenate([np.repeat(np.arange(2000), 2), [2000]])
    y = (rng.normal(size=2001)[codes] + rng.normal(size=4001)).astype(np.float32)[:, None]
    half = np.zeros(4001, np.int8)
    half[-1] = 1
    values = TokenLookup(codes, y, half)(slice(None), 0)[:, 0]
    own = np.bincount(codes[:4000], y[:4000, 0]) / 2
    slope = np.polyfit(own, values[:4000:2], 1)[0]
    assert slope == pytest.approx(2 / 3, abs=0.03)
    assert values[-1] == pytest.approx(y[:4000].mean(), abs=1e-5)
    noise = rng.normal(size=(4001, 1)).astype(np.float32)
    assert TokenLookup(codes, noise, half)(slice(None), 0).std() < 0.15


@pytest.mark.parametrize("length", [50, 2000])
def test_each_row_is_read_by_the_other_halfs_fit(length: int) -> None:
    n = 20_000
    cluster = np.arange(n) // length
    half = (np.random.default_rng(6).random(n // length) < 0.5).astype(np.int8)[cluster]
    x = np.random.default_rng(7).normal(size=(n, 2)).astype(np.float32)
    sides = Sides({}, {}, cluster, half, n // length)
    found = value_sums(sides, 1, lambda at: x[at], lambda at, fit: x[at] * (10 + fit), np.zeros(2))
    # Rows of the first half are read by what the second fitted.
    wanted = sums(x, x * np.where(half == 0, 11, 10)[:, None].astype(np.float32), cluster)
    np.testing.assert_allclose(found.sum_b, wanted.sum_b, rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(found.sum_ab, wanted.sum_ab, rtol=1e-5)
    np.testing.assert_array_equal(found.tokens, wanted.tokens)
