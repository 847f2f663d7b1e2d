"""Permuted labels: the null distribution by its definition, and a leak that is caught."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tests.unit.baselines.worlds import SITE, World, world
from workers.baselines import BaselineQuestion
from workers.baselines.design import Design
from workers.controls.outcome import ControlOutcome
from workers.controls.permuted_labels import (
    ShiftedLabels,
    judge_permuted_labels,
    probe_on_shifted_labels,
)

QUESTION = BaselineQuestion("reader", "context", (SITE,))


def test_every_shift_is_the_auroc_of_the_shifted_labels() -> None:
    rng = np.random.default_rng(0)
    scores = np.maximum(np.round(rng.normal(size=97), 1), 0)
    positive = rng.random(97) < 0.3
    found = ShiftedLabels(positive).aurocs(scores)
    for shift in (0, 1, 40, 96):
        assert found[shift] == pytest.approx(roc_auc_score(np.roll(positive, shift), scores))
    # Every token is a positive of as many shifts: together they know nothing.
    assert found.mean() == pytest.approx(0.5)


def test_within_folds_every_shift_counts_the_pairs_of_one_fold() -> None:
    rng = np.random.default_rng(1)
    scores, positive = rng.normal(size=120), rng.random(120) < 0.3
    fold = np.repeat([0, 1, 2, 0], 30)
    found = ShiftedLabels(positive, fold).aurocs(scores)
    for shift in (0, 17):
        y = np.roll(positive, shift)
        pairs = [y[fold == k].sum() * (~y[fold == k]).sum() for k in range(3)]
        aurocs = [roc_auc_score(y[fold == k], scores[fold == k]) for k in range(3)]
        assert found[shift] == pytest.approx(np.average(aurocs, weights=pairs))


def test_a_feature_that_reads_its_concept_lies_outside_the_null_interval() -> None:
    w = world(2)
    rng = np.random.default_rng(2)
    noise = rng.normal(size=len(w.keys))
    values = np.stack([w.by_context + noise, noise], axis=1).astype(np.float32)
    questions = [QUESTION, replace(QUESTION, name="blind")]
    outcome = judge_permuted_labels(w, values, questions, {"context": w.by_context})
    assert outcome.passed is True
    reads, blind = outcome.features["reader"], outcome.features["blind"]
    assert reads.passed is True
    assert reads.figures["outside"] is True
    assert reads.figures["auroc"] == pytest.approx(roc_auc_score(w.by_context, values[:, 0]))
    assert blind.passed is True
    assert blind.figures["null"][0] < blind.figures["auroc"] < blind.figures["null"][1]
    assert outcome.figures["inside_null"] == 1
    assert ControlOutcome.from_json(outcome.to_json()) == outcome


def test_folds_that_cut_documents_leak_and_are_caught() -> None:
    w = world(3)
    # A concept of whole documents, and a direction for each document: whoever has seen some tokens
    # of a document knows the others.
    rng = np.random.default_rng(3)
    positive = (rng.random(90) < 0.4)[w.cluster]
    design = Design([8 * rng.normal(size=(90, 64)).astype(np.float32)[w.cluster], w.a[SITE]])
    cut = rng.integers(0, 3, len(positive))
    honest = probe_on_shifted_labels(design, positive, w.cluster, alpha=0.05, seed=0)
    leaky = probe_on_shifted_labels(design, positive, w.cluster, alpha=0.05, seed=0, fold=cut)
    assert not honest.leaks
    assert leaky.leaks
    assert leaky.auroc > 0.9


def test_the_same_documents_in_two_units_of_inference_are_untrusted() -> None:
    w = world(4)
    rng = np.random.default_rng(4)
    # Every document stands there twice, side by side, under two names.
    half = np.repeat(np.arange(45), 160)
    design = 8 * rng.normal(size=(45, 64)).astype(np.float32)[half]
    positive = (rng.random(45) < 0.4)[half]
    values = rng.normal(size=(len(half), 1)).astype(np.float32)
    twice = replace(w, a={SITE: design})
    outcome = judge_permuted_labels(twice, values, [QUESTION], {"context": positive})
    assert outcome.passed is False
    assert "put them into one group" in outcome.features["reader"].detail
    grouped = replace(twice, cluster=half)
    assert judge_permuted_labels(grouped, values, [QUESTION], {"context": positive}).passed


def test_honest_probes_lie_where_chance_puts_them(monkeypatch: pytest.MonkeyPatch) -> None:
    # As with more documents: the z of any number of fits is standard normal.
    monkeypatch.setattr("workers.controls.permuted_labels._MOST_FITS", 3)
    z = []
    for seed in range(60):
        w = world(100 + seed, documents=60, length=40)
        check = probe_on_shifted_labels(
            Design([w.a[SITE]]), w.by_context, w.cluster, alpha=0.05, seed=seed
        )
        assert not check.leaks
        z.append(check.z)
    # Of a standard normal distribution; the spread of 60 draws lies in this band with 99.9%. It
    # would be √2 if associations between folds were counted once.
    assert abs(np.mean(z)) < 0.43
    assert 0.7 < np.std(z) < 1.31


def test_a_rare_feature_and_labels_in_one_run_give_no_yardstick() -> None:
    w = World(cluster := np.repeat(np.arange(2000), 4), cluster, cluster > 0, cluster > 0)
    # Nearly all shifts miss the stretch where it fires: a chance hit looks like a find.
    positive, values = (cluster < 20), (cluster < 26)[:, None].astype(np.float32)
    blind = replace(QUESTION, sites=())
    outcome = judge_permuted_labels(w, values, [blind], {"context": positive})
    assert outcome.features["reader"].passed is False
    assert outcome.features["reader"].figures["null"][1] < 0.495
    # Spread over the corpus, the same numbers of tokens are as good a yardstick as any.
    rng = np.random.default_rng(5)
    positive, values = rng.permutation(positive), rng.permutation(values)
    assert judge_permuted_labels(w, values, [blind], {"context": positive}).passed is True


def test_what_cannot_be_told_is_none() -> None:
    w = world(6, documents=10)
    values = np.zeros((len(w.keys), 2), np.float32)
    questions = [QUESTION, BaselineQuestion("free", "colour", (SITE,))]
    outcome = judge_permuted_labels(w, values, questions, {"context": w.by_context})
    assert outcome.passed is None
    assert outcome.features["reader"].passed is None
    assert "free" not in outcome.features
    with pytest.raises(ValueError, match="one column a feature"):
        judge_permuted_labels(w, values[:, :1], questions, {})
    with pytest.raises(ValueError, match="labels of 'context'"):
        judge_permuted_labels(w, values, questions, {"context": w.by_context[:3]})
