"""Each read-out against its definition, and against what it must not know."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from tests.unit.baselines.worlds import SITE, WIDTH, world
from workers.baselines import labelled_refit, readouts
from workers.baselines.design import Design
from workers.baselines.folds import cluster_folds
from workers.baselines.readouts import (
    mean_difference_scores,
    probe_scores,
    token_lookup_scores,
)


def test_the_probe_is_the_logistic_regression_of_the_other_folds() -> None:
    w = world(0)
    x, y = w.a[SITE], w.by_context
    fold = cluster_folds(w.cluster, y, 0)
    found = probe_scores(Design([x[:, :7], x[:, 7:]]), y, fold, 0)
    assert found.converged
    assert found.fitted_tokens == np.bincount(fold)[[0, 1]].sum()
    train, test = fold != 0, fold == 0
    scaler = StandardScaler().fit(x[train])
    probe = LogisticRegression(C=9 / WIDTH).fit(scaler.transform(x[train]), y[train])
    expected = probe.decision_function(scaler.transform(x[test]))
    assert np.corrcoef(found.scores[test], expected)[0, 1] > 0.999
    assert roc_auc_score(y[test], found.scores[test]) == pytest.approx(
        roc_auc_score(y[test], expected), abs=2e-3
    )


def test_fitting_tokens_are_bounded_and_lose_little(monkeypatch: pytest.MonkeyPatch) -> None:
    w = world(1)
    y = w.by_context
    fold = cluster_folds(w.cluster, y, 0)
    whole = probe_scores(Design([w.a[SITE]]), y, fold, 0)
    monkeypatch.setattr(readouts, "FIT_TOKENS", 1200)
    part = probe_scores(Design([w.a[SITE]]), y, fold, 0)
    assert part.fitted_tokens == 1200
    assert roc_auc_score(y, part.scores) == pytest.approx(roc_auc_score(y, whole.scores), abs=0.02)


def test_a_solver_that_does_not_finish_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    w = world(2, documents=30)
    monkeypatch.setattr(readouts, "MAX_ITERATIONS", 2)
    fold = cluster_folds(w.cluster, w.by_context, 0)
    assert not probe_scores(Design([w.a[SITE]]), w.by_context, fold, 0).converged


def test_coordinates_that_never_move_weigh_nothing() -> None:
    w = world(3, documents=30)
    fold = cluster_folds(w.cluster, w.by_context, 0)
    constant = np.full((len(w.keys), 2), 1e4, np.float32)
    constant[:, 1] = 0
    alone = probe_scores(Design([w.a[SITE]]), w.by_context, fold, 0)
    beside = probe_scores(Design([w.a[SITE], constant]), w.by_context, fold, 0)
    assert np.isfinite(beside.scores).all()
    assert roc_auc_score(w.by_context, beside.scores) == pytest.approx(
        roc_auc_score(w.by_context, alone.scores), abs=0.01
    )


def test_the_difference_of_means_is_that_of_the_other_folds() -> None:
    w = world(4)
    x, y = w.a[SITE], w.by_context
    fold = cluster_folds(w.cluster, y, 0)
    found = mean_difference_scores(Design([x[:, :3], x[:, 3:]]), y, fold)
    for k in range(3):
        other = fold != k
        direction = x[other & y].mean(0) - x[other & ~y].mean(0)
        assert found[fold == k] == pytest.approx(x[fold == k] @ direction, rel=1e-3, abs=1e-3)


def test_the_lookup_counts_tokens_of_the_other_folds() -> None:
    w = world(5)
    y = w.by_token
    keys = w.keys.copy()
    fold = cluster_folds(w.cluster, y, 0)
    once = int(np.flatnonzero(fold == 1)[0])
    keys[once] = -7  # a token that no other fold holds
    found = token_lookup_scores(keys, y, fold)
    for k in range(3):
        other = fold != k
        base = y[other].mean()
        key = keys[fold == k][-1]
        here = other & (keys == key)
        share = (y[here].sum() + 2 * base) / (here.sum() + 2)
        assert found[fold == k][-1] == pytest.approx(np.log(share / (1 - share)))
    base = y[fold != 1].mean()
    assert found[once] == pytest.approx(np.log(base / (1 - base)))


def test_scores_know_nothing_of_their_own_fold() -> None:
    w = world(6)
    fold = cluster_folds(w.cluster, w.by_context, 0)
    turned = w.by_context.copy()
    turned[fold == 2] = ~turned[fold == 2]
    design = Design([w.a[SITE]])
    for score in (
        lambda y: probe_scores(design, y, fold, 0).scores,
        lambda y: mean_difference_scores(design, y, fold),
        lambda y: token_lookup_scores(w.keys, y, fold),
    ):
        assert score(w.by_context)[fold == 2] == pytest.approx(
            score(turned)[fold == 2], rel=1e-9, abs=1e-9
        )


def test_a_refit_finds_what_is_readable_and_nothing_else() -> None:
    w = world(7)
    readable = labelled_refit(w.a[SITE], w.by_context, w.cluster)
    assert readable.lower > 0.8
    assert readable.documents == 90
    erased = w.a[SITE].copy()
    erased[:, 3] = 0
    gone = labelled_refit(erased, w.by_context, w.cluster)
    assert gone.lower < 0.5 < gone.upper
    few = world(7, documents=9)
    assert np.isnan(labelled_refit(few.a[SITE], few.by_context, few.cluster).value)


def test_sites_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="hold \\[3, 4\\] tokens"):
        Design([np.zeros((3, 2), np.float32), np.zeros((4, 2), np.float32)])
    with pytest.raises(ValueError, match="do not fit together"):
        labelled_refit(np.zeros((3, 2), np.float32), np.zeros(2, bool), np.zeros(3, int))
