"""Clustered AUROC, against pairs counted one by one, scipy, and a bootstrap over clusters."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, norm

from workers.drift.auroc import Labels, Scores, owed_variance, paired_auroc


def draw(seed: int, tokens: int = 120, clusters: int = 8) -> tuple[np.ndarray, ...]:
    """Scores with many ties at 0, as sparse features have them, and labels that they follow."""
    rng = np.random.default_rng(seed)
    cluster = rng.integers(0, clusters, tokens)
    mood = rng.normal(size=clusters)[cluster]
    positive = rng.random(tokens) < 0.3
    a = np.maximum(np.round(mood + positive + rng.normal(size=tokens), 1), 0)
    b = np.maximum(np.round(a + 0.5 * rng.normal(size=tokens), 1), 0)
    return a, b, positive, cluster


def as_sparse(values: np.ndarray) -> Scores:
    return Scores(values[values != 0], np.flatnonzero(values))


def obuchowski(a: np.ndarray, b: np.ndarray, positive: np.ndarray, cluster: np.ndarray) -> float:
    """Var of the difference by its definition: all pairs, variances and covariance apart."""
    m, n = positive.sum(), (~positive).sum()

    def psi(x: np.ndarray) -> np.ndarray:
        difference = x[positive][:, None] - x[~positive][None, :]
        return (difference > 0) + 0.5 * (difference == 0)

    groups = np.unique(cluster)
    sums = []
    for x in (a, b):
        pairs = psi(x)
        auc = pairs.mean()
        v10, v01 = pairs.mean(1), pairs.mean(0)
        c10, c01 = cluster[positive], cluster[~positive]
        sums.append(
            np.array(
                [
                    (
                        v10[c10 == g].sum() - (c10 == g).sum() * auc,
                        v01[c01 == g].sum() - (c01 == g).sum() * auc,
                    )
                    for g in groups
                ]
            )
        )
    i10, i01 = (len(np.unique(cluster[mask])) for mask in (positive, ~positive))

    def covariance(s: np.ndarray, t: np.ndarray) -> float:
        s10 = i10 / ((i10 - 1) * m) * (s[:, 0] * t[:, 0]).sum()
        s01 = i01 / ((i01 - 1) * n) * (s[:, 1] * t[:, 1]).sum()
        i = len(groups)
        s11 = i / (i - 1) * ((s[:, 0] * t[:, 1]).sum() + (s[:, 1] * t[:, 0]).sum())
        return s10 / m + s01 / n + s11 / (m * n)

    return covariance(sums[0], sums[0]) + covariance(sums[1], sums[1]) - 2 * covariance(*sums)


@pytest.mark.parametrize("seed", range(5))
def test_equals_the_definition_over_all_pairs(seed: int) -> None:
    a, b, positive, cluster = draw(seed)
    labels = Labels(positive, cluster, 8)
    found = paired_auroc(Scores(a), Scores(b), labels)
    sparse = paired_auroc(as_sparse(a), as_sparse(b), labels)
    m, n = positive.sum(), (~positive).sum()
    for value, x in ((found.baseline, a), (found.candidate, b)):
        assert value == pytest.approx(mannwhitneyu(x[positive], x[~positive]).statistic / (m * n))
    assert found.variance == pytest.approx(obuchowski(a, b, positive, cluster))
    assert sparse.baseline == pytest.approx(found.baseline)
    assert sparse.candidate == pytest.approx(found.candidate)
    assert sparse.variance == pytest.approx(found.variance)


def test_values_below_zero_stand_below_the_unstored_zeros() -> None:
    a, _, positive, cluster = draw(3)
    a = np.where(a > 1, -a, a)
    labels = Labels(positive, cluster, 8)
    dense, sparse = (
        paired_auroc(Scores(a), Scores(a), labels),
        paired_auroc(as_sparse(a), as_sparse(a), labels),
    )
    assert sparse.baseline == pytest.approx(dense.baseline)


def test_variance_agrees_with_a_bootstrap_over_clusters() -> None:
    a, b, positive, cluster = draw(11, tokens=2000, clusters=80)
    rng = np.random.default_rng(0)
    members = [np.flatnonzero(cluster == g) for g in range(80)]
    differences = []
    for _ in range(300):
        tokens = np.concatenate([members[g] for g in rng.integers(0, 80, 80)])
        y = positive[tokens]
        values = [
            mannwhitneyu(x[tokens][y], x[tokens][~y]).statistic / (y.sum() * (~y).sum())
            for x in (a, b)
        ]
        differences.append(values[1] - values[0])
    found = paired_auroc(Scores(a), Scores(b), Labels(positive, cluster, 80))
    assert np.sqrt(found.variance) == pytest.approx(np.std(differences), rel=0.15)


def test_the_same_scores_differ_by_exactly_nothing() -> None:
    a, _, positive, cluster = draw(4)
    found = paired_auroc(Scores(a), Scores(a), Labels(positive, cluster, 8))
    assert found.identical
    assert found.variance == 0
    assert found.candidate == found.baseline


def test_labels_that_cannot_tell_give_nan_or_infinite_variance() -> None:
    a, b, positive, cluster = draw(5)
    none = paired_auroc(Scores(a), Scores(b), Labels(np.zeros_like(positive), cluster, 8))
    assert np.isnan(none.baseline)
    one = paired_auroc(Scores(a), Scores(b), Labels(positive & (cluster == 0), cluster, 8))
    assert np.isinf(one.variance)


def test_a_cluster_of_one_token_has_the_variance_of_independent_tokens() -> None:
    a, b, positive, _ = draw(6)
    labels = Labels(positive, np.arange(len(a)), len(a))
    for found in (
        paired_auroc(Scores(a), Scores(b), labels),
        paired_auroc(as_sparse(a), as_sparse(b), labels),
        paired_auroc(Scores(a), as_sparse(b), labels),
    ):
        assert found.independent == pytest.approx(found.influence**2)


def test_variance_of_independent_tokens_is_summed_within_clusters() -> None:
    a, b, positive, cluster = draw(7)
    single = paired_auroc(Scores(a), Scores(b), Labels(positive, np.arange(len(a)), len(a)))
    found = paired_auroc(as_sparse(a), as_sparse(b), Labels(positive, cluster, 8))
    assert found.independent == pytest.approx(np.bincount(cluster, single.independent, 8))


@pytest.mark.parametrize("losses", [0, 1, 5, 200])
def test_an_interval_on_equal_jumps_reaches_the_score_limit_of_a_poisson_mean(losses: int) -> None:
    jump, z = 0.02, norm.ppf(0.95)
    influence = np.r_[np.full(losses, -jump), np.zeros(40)]
    variance = (influence**2).sum() + owed_variance(influence, jump)
    limit = losses + z * np.sqrt(variance) / jump
    # The score test of a Poisson mean at its limit: (count − mean)² = z²·mean.
    assert (losses - limit) ** 2 == pytest.approx(z**2 * limit)


def test_what_is_owed_vanishes_beside_many_changes_and_without_a_direction() -> None:
    jump = 0.01
    shares = [
        owed_variance(np.full(count, jump), jump) / (count * jump**2) for count in (10, 100, 10000)
    ]
    assert shares[0] > shares[1] > shares[2]
    assert shares[2] < 0.02
    both_ways = np.r_[np.full(50, jump), np.full(50, -jump)]
    assert owed_variance(both_ways, jump) < 0.1 * owed_variance(np.abs(both_ways), jump)


def test_a_latent_owes_for_the_positive_it_may_lose_and_a_dense_score_nothing() -> None:
    rng = np.random.default_rng(0)
    positive = np.arange(400) < 20
    a = np.where(positive | (rng.random(400) < 0.02), 1 + rng.random(400), 0)
    b = a * (1 + 1e-4 * rng.random(400))
    labels = Labels(positive, np.arange(400) % 10, 10)
    latent = paired_auroc(as_sparse(a), as_sparse(b), labels)
    # Half a rank for one positive of 20, by about what the false alarms leave.
    assert latent.owed == pytest.approx(norm.ppf(0.95) ** 2 * (0.5 / 20) ** 2, rel=0.1)
    assert paired_auroc(Scores(a), Scores(b), labels).owed == 0


def test_ranks_that_stay_do_not_make_two_sides_identical() -> None:
    a, _, positive, cluster = draw(8)
    labels = Labels(positive, cluster, 8)
    for scores in (Scores, as_sparse):
        found = paired_auroc(scores(a), scores(2 * a), labels)
        assert found.candidate == found.baseline
        assert not found.identical
    backwards = np.flatnonzero(a)[::-1]
    assert paired_auroc(as_sparse(a), Scores(a[backwards], backwards), labels).identical
