"""Agreement across variants, against numpy and by hand."""

import numpy as np
import pytest

from workers.drift.inference import infer
from workers.drift.policy import Policy
from workers.drift.robustness import Agreement, agreement

PAIRS = 120


def lin(x: np.ndarray, y: np.ndarray) -> float:
    return 2 * np.cov(x, y, ddof=0)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)


def sample(noise_a: float, noise_b: float, seed: int = 0, features: int = 4) -> list[np.ndarray]:
    """Original and variant of the baseline, then of the candidate; [pairs, features]."""
    rng = np.random.default_rng(seed)
    x = np.abs(rng.normal(size=(PAIRS, features)))
    return [
        x,
        x + noise_a * rng.normal(size=x.shape),
        x,
        x + noise_b * rng.normal(size=x.shape),
    ]


def single(values: list[np.ndarray]) -> Agreement:
    return agreement(*values, np.arange(PAIRS), PAIRS)


def test_agreement_is_lins_concordance_and_the_effect_its_loss() -> None:
    values = sample(0.1, 0.6)
    found = single(values)
    for j in range(4):
        a, b = (lin(values[k][:, j], values[k + 1][:, j]) for k in (0, 2))
        assert found.baseline[j] == pytest.approx(a)
        assert found.candidate[j] == pytest.approx(b)
        assert found.estimates.effect[j] == pytest.approx(a - b)
    assert (found.estimates.effect > 0.1).all()


def test_the_variance_is_that_of_leaving_out_each_unit() -> None:
    values, unit = sample(0.2, 0.4), np.arange(PAIRS) // 3
    found = agreement(*values, unit, 40)
    points = []
    for g in range(40):
        v = [x[unit != g] for x in values]
        points.append([lin(v[0][:, j], v[1][:, j]) - lin(v[2][:, j], v[3][:, j]) for j in range(4)])
    effect = found.estimates.effect
    expected = 39 / 40 * ((np.array(points) - effect) ** 2).sum(0)
    assert found.estimates.variance == pytest.approx(expected)
    assert found.active_clusters.tolist() == [40] * 4
    assert found.estimates.df == pytest.approx(39)


def test_order_of_pairs_names_of_units_and_scale_do_not_matter() -> None:
    values, unit = sample(0.2, 0.4), np.arange(PAIRS) // 3
    found = agreement(*values, unit, 40)
    order = np.random.default_rng(1).permutation(PAIRS)
    other = agreement(*(7 * x[order] for x in values), 39 - unit[order], 40)
    for name in ("effect", "variance", "df"):
        assert getattr(other.estimates, name) == pytest.approx(getattr(found.estimates, name))


def test_equal_sides_have_an_effect_of_exactly_zero_without_error() -> None:
    found = single(sample(0.3, 0.3)[:2] * 2)
    assert found.estimates.identical.all()
    assert (found.estimates.effect == 0).all()
    known = infer("robustness", found.estimates, Policy(), np.zeros(4, int))
    assert (known.p_stable == 0).all()


def test_documents_that_do_not_differ_have_no_agreement() -> None:
    values = [np.zeros((PAIRS, 2)), np.zeros((PAIRS, 2)), *sample(0.1, 0.1, features=2)[2:]]
    found = single(values)
    assert np.isnan(found.baseline).all()
    assert np.isfinite(found.candidate).all()
    assert np.isnan(found.estimates.point).all()
    silent = single([np.zeros((PAIRS, 2))] * 4)
    assert silent.active_clusters.tolist() == [0, 0]
    assert not silent.estimates.identical.any()


def test_no_pair_and_one_unit_tell_nothing() -> None:
    none = agreement(*[np.zeros((0, 3))] * 4, np.zeros(0, int), 0)
    assert np.isnan(none.estimates.point).all()
    one = agreement(*sample(0.1, 0.4), np.zeros(PAIRS, int), 1)
    assert np.isinf(one.estimates.variance).all()


def test_intervals_cover_the_true_loss() -> None:
    rng = np.random.default_rng(0)
    features, pairs = 3000, 100
    x = rng.normal(size=(pairs, features))
    sd = (0.4, 0.6)
    y = [x + s * rng.normal(size=x.shape) for s in sd]
    truth = 2 / (2 + sd[0] ** 2) - 2 / (2 + sd[1] ** 2)
    found = agreement(x, y[0], x, y[1], np.arange(pairs), pairs)
    known = infer("robustness", found.estimates, Policy(), np.zeros(features, int))
    covered = ((known.lower <= truth) & (truth <= known.upper)).mean()
    assert 0.93 < covered < 0.97
