"""Clustered AUROC, against pairs counted one by one, scipy, and a bootstrap over clusters."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from workers.drift.auroc import Labels, Scores, paired_auroc


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
