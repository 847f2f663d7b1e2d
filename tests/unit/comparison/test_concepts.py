"""ΔAUROC of latents with few labelled tokens, where the truth is known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.calibration.concepts import Labelled, inference
from workers.drift.inference import Inference
from workers.drift.policy import Policy

DOCUMENTS, LENGTH, FALSE_ALARMS = 60, 80, 0.01
DOCUMENT = np.repeat(np.arange(DOCUMENTS), LENGTH)
Flags = NDArray[np.bool_]


def labelled(rng: np.random.Generator, positives: int) -> Labelled:
    positive = np.zeros(len(DOCUMENT), bool)
    positive[rng.choice(len(DOCUMENT), positives, replace=False)] = True
    return Labelled(DOCUMENT, positive, DOCUMENTS)


def judged(rng: np.random.Generator, labels: Labelled, losses: NDArray[np.float64]) -> Inference:
    """Latents that lose this share of their hits; every value moves a little as well."""
    shape = (len(DOCUMENT), len(losses))
    on = rng.random(shape) < np.where(labels.positive, 0.9, FALSE_ALARMS)[:, None]
    lost = labels.positive[:, None] & (rng.random(shape) < losses)
    value = rng.exponential(size=shape) + 0.01
    a = np.where(on, value, 0).astype(np.float32)
    b = np.where(on & ~lost, value * (1 + 0.05 * rng.random(shape)), 0).astype(np.float32)
    return inference(labels, a, b, Policy(), sparse=True)[0]


def test_intervals_cover_where_few_positives_change() -> None:
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(15):
        losses = rng.uniform(0, 0.3, 20)
        found = judged(rng, labelled(rng, 40), losses)
        # Hits and false alarms have the same values: AUROC is ½ + (recall − false alarms)/2.
        truth = -losses * 0.9 / 2
        covered += list((found.lower <= truth) & (truth <= found.upper))
    assert len(covered) == 300
    assert np.mean(covered) >= 0.95


def test_no_changed_positive_of_few_does_not_make_a_concept_stable() -> None:
    rng = np.random.default_rng(1)
    few, many = (judged(rng, labelled(rng, n), np.zeros(12)) for n in (20, 2000))
    assert (np.abs(few.effect) < 0.01).all()
    assert (few.p_stable > 0.05).all()
    assert (few.lower < -0.02).all()
    assert (many.p_stable < 1e-3).all()


def test_losses_at_the_margin_are_seldom_called_stable() -> None:
    rng = np.random.default_rng(2)
    at_margin = np.full(20, 2 * Policy().concept / 0.9)
    p = np.concatenate([judged(rng, labelled(rng, 150), at_margin).p_stable for _ in range(15)])
    assert np.mean(p <= 0.05) <= 0.07


def test_a_clear_loss_is_still_found() -> None:
    rng = np.random.default_rng(3)
    found = judged(rng, labelled(rng, 40), np.full(12, 0.7))
    assert (found.p_drifted < 1e-3).all()
    assert found.effect == pytest.approx(-0.7 * 0.9 / 2, abs=0.12)


def test_variances_of_features_that_change_differently_are_not_made_alike() -> None:
    rng = np.random.default_rng(4)
    found = judged(rng, labelled(rng, 1000), np.repeat([0.01, 0.4], 10))
    # Of losses that are independent, the standard error grows with the root of their number.
    assert found.se[10:].mean() > 3 * found.se[:10].mean()
