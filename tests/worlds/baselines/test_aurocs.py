"""AUROC within folds against scikit-learn, and the intervals against simulation."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from workers.baselines.aurocs import auroc, difference
from workers.baselines.folds import cluster_folds, too_few


def draw(seed: int, documents: int = 60) -> tuple[np.ndarray, ...]:
    """Two scores of which the second separates better, with moods of documents."""
    rng = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(documents), 20)
    positive = rng.random(len(cluster)) < 0.3
    mood = 0.5 * rng.normal(size=documents)[cluster]
    x = positive + mood + rng.normal(size=len(cluster))
    y = 1.5 * positive + mood + rng.normal(size=len(cluster))
    return x, y, positive, cluster, cluster_folds(cluster, positive, seed)


def test_equals_the_pairs_within_folds() -> None:
    x, y, positive, cluster, fold = draw(0)
    found = difference(x, y, positive, cluster, fold, 0.05)
    weights, firsts, seconds = [], [], []
    for k in range(3):
        here = fold == k
        weights.append(positive[here].sum() * (~positive[here]).sum())
        firsts.append(roc_auc_score(positive[here], x[here]))
        seconds.append(roc_auc_score(positive[here], y[here]))
    assert found.baseline == pytest.approx(np.average(firsts, weights=weights))
    assert found.feature == pytest.approx(np.average(seconds, weights=weights))


def test_scales_of_folds_do_not_matter() -> None:
    x, y, positive, cluster, fold = draw(1)
    moved = x * (1 + fold) + 100 * fold
    assert difference(moved, y, positive, cluster, fold, 0.05) == difference(
        x, y, positive, cluster, fold, 0.05
    )
    # Pooled as they are, folds on other scales would have hidden the concept.
    assert roc_auc_score(positive, moved) < 0.6 < roc_auc_score(positive, x)


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    truth = difference(*draw(99, documents=5000), 0.05)
    own = auroc(*draw(99, documents=5000)[1:], 0.05).value
    held = held_own = 0
    for seed in range(200):
        data = draw(seed)
        found = difference(*data, 0.05)
        held += found.lower <= truth.value <= found.upper
        single = auroc(*data[1:], 0.05)
        held_own += single.lower <= own <= single.upper
    # Binomial: 95% of 200 is 190, and fewer than 180 has a probability of 2e-3.
    assert held >= 180
    assert held_own >= 180


def test_a_perfect_score_keeps_a_doubt() -> None:
    _, _, positive, cluster, fold = draw(2)
    found = auroc(positive.astype(float), positive, cluster, fold, 0.05)
    assert found.value == found.upper == 1
    assert 0.9 < found.lower < 1


def test_folds_keep_documents_whole_and_share_the_concept() -> None:
    _, _, positive, cluster, fold = draw(3)
    for c in np.unique(cluster):
        assert len(np.unique(fold[cluster == c])) == 1
    shares = [positive[fold == k].sum() / positive.sum() for k in range(3)]
    assert max(shares) - min(shares) < 0.03
    again = cluster_folds(cluster, positive, 3)
    assert np.array_equal(fold, again)


def test_few_documents_are_named() -> None:
    cluster = np.repeat(np.arange(40), 10)
    positive = cluster < 5
    assert "Only 5 documents of the sample carry" in str(too_few(cluster, positive))
    assert "Only 5 documents of the sample have a token without" in str(too_few(cluster, ~positive))
    assert too_few(cluster, np.tile([True, False], 200)) is None
