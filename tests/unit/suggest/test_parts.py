"""The parts of a suggestion, each against an independent reference."""

from math import nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn.metrics import roc_auc_score

from benchmarks.suggestions.worlds import planted
from workers.baselines.aurocs import Auroc, Difference
from workers.suggest.effects import firing
from workers.suggest.ranking import Ranks
from workers.suggest.rule import Evidence, reasons_against
from workers.suggest.split import A, B, halves
from workers.suggest.words import WINDOW, bag_of_words_scores


@given(st.integers(0, 10_000))
@settings(max_examples=12, deadline=None)
def test_aurocs_of_all_latents_are_those_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(4, 60))
    # Few distinct values, some negative, many 0: ties everywhere.
    values = rng.integers(-2, 4, (n, 7)) * (rng.random((n, 7)) < 0.5)
    positive = rng.random((n, 3)) < 0.4
    positive[0], positive[1] = True, False

    found = Ranks(csr_array(values.astype(np.float32))).aurocs(positive)

    for latent in range(7):
        for label in range(3):
            reference = roc_auc_score(positive[:, label], values[:, latent])
            assert found[latent, label] == pytest.approx(reference, abs=1e-12)


def test_a_dictionary_that_is_silent_ranks_nothing() -> None:
    ranks = Ranks(csr_array((10, 4), dtype=np.float32))
    assert ranks.aurocs(np.arange(10)[:, None] < 3) == pytest.approx(0.5)


def test_the_best_by_chance_grows_with_the_number_of_latents() -> None:
    material = planted(0).material()
    few, many = (
        Ranks(csr_array(material.latents[:, :width])).best_by_chance(
            material.labels["context"], 100, np.random.default_rng(0)
        )
        for width in (4, 64)
    )
    assert (many >= few).all()
    assert many.mean() > few.mean() > 0.5


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_no_unit_stands_on_both_halves_and_concepts_are_shared_out(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cluster = rng.integers(0, 40, 600)
    labels = {"often": rng.random(600) < 0.3, "seldom": np.isin(cluster, rng.integers(0, 40, 8))}

    side = halves(cluster, labels, seed)

    units = {k: set(cluster[side == k]) for k in (A, B)}
    assert not units[A] & units[B]
    assert abs(len(units[A]) - len(units[B])) <= 1
    carriers = {k: len(set(cluster[(side == k) & labels["seldom"]])) for k in (A, B)}
    assert abs(carriers[A] - carriers[B]) <= 1


def test_the_bag_holds_the_token_and_the_window_before_it_of_the_same_sequence() -> None:
    n = WINDOW + 6
    rng = np.random.default_rng(0)
    sequence = np.repeat(np.arange(60), n)
    keys = rng.integers(2, 40, 60 * n)
    keys[::n] = np.arange(60) % 2
    place = np.tile(np.arange(n), 60)
    # The concept is what follows a 1, as far as the window reaches.
    positive = np.repeat(np.arange(60) % 2 == 1, n)
    fitted = sequence < 40

    scores = bag_of_words_scores(keys, sequence, positive, fitted, rng)

    held_out = ~fitted
    seen = held_out & (place <= WINDOW)
    beyond = held_out & (place > WINDOW)
    assert roc_auc_score(positive[seen], scores[seen]) > 0.99
    assert roc_auc_score(positive[beyond], scores[beyond]) < 0.8


def test_tokens_that_were_not_fitted_on_tell_nothing() -> None:
    keys = np.r_[np.zeros(50), np.ones(50), np.full(50, 7)].astype(np.int64)
    positive = keys == 1
    fitted = keys < 2
    scores = bag_of_words_scores(keys, np.arange(150), positive, fitted, np.random.default_rng(0))
    assert set(scores[keys == 7]) == {0.0}


def test_intervals_of_firing_hold_what_they_promise() -> None:
    held = 0
    truth = np.log(0.3 / 0.05)
    for seed in range(200):
        rng = np.random.default_rng(seed)
        cluster = np.repeat(np.arange(60), 30)
        positive = rng.random(1800) < 0.3
        # A document's own liveliness multiplies both shares alike.
        lively = rng.uniform(0.5, 1.5, 60)[cluster]
        on = rng.random(1800) < lively * np.where(positive, 0.3, 0.05)
        found = firing(on.astype(float), positive, cluster, 0.05)
        held += found.lower <= truth <= found.upper
    assert held / 200 >= 0.90


def test_a_latent_that_never_fires_has_an_honest_interval() -> None:
    cluster = np.repeat(np.arange(40), 10)
    found = firing(np.zeros(400), np.arange(400) % 2 == 0, cluster, 0.05)
    assert found.with_concept == 0
    assert found.lower < -1 < 1 < found.upper


@pytest.mark.parametrize("readout", ["token_lookup", "bag_of_words"])
def test_what_cannot_be_compared_is_not_recommended(readout: str) -> None:
    ahead = Difference(0.6, 0.8, 0.1, 0.3)
    against = dict.fromkeys(("token_lookup", "bag_of_words", "probe"), ahead)
    own = Auroc(0.8, 0.7, 0.9, 60, 30, 30.0)
    assert reasons_against(Evidence(own, against, 0.6, 0.6, 64)) == []
    for unknown in (Difference(0.6, 0.8, nan, nan), Difference(nan, 0.8, 0.1, nan)):
        found = reasons_against(Evidence(own, against | {readout: unknown}, 0.6, 0.6, 64))
        assert len(found) == 1
        assert "token alone" in found[0] if readout == "token_lookup" else "bag" in found[0]
