"""Small simulations with known truth: coverage, false discoveries, and why documents cluster."""

import numpy as np
import pytest
from scipy import stats

from workers.drift.activity import count_activity
from workers.drift.estimands import sparse_estimates
from workers.drift.inference import infer
from workers.drift.ladder import judge
from workers.drift.policy import Policy
from workers.drift.sums import PairedSums

FEATURES = 1500


def simulate(
    rng: np.random.Generator, *, documents: int, firing: float, lost: float, gained: float
) -> PairedSums:
    """Counts of features whose firing, losses and gains all vary from document to document."""
    shape = (documents, FEATURES)
    tokens = np.maximum(rng.lognormal(5.5, 0.8, documents), 20).astype(np.int64)
    rate = np.minimum(firing * rng.gamma(2, 0.5, shape), 0.9)
    on = rng.binomial(tokens[:, None], rate)
    only_a = rng.binomial(on, rng.beta(9 * lost, 9 * (1 - lost), shape))
    only_b = rng.poisson(tokens[:, None] * rate * gained * rng.gamma(2, 0.5, shape))
    both = on - only_a
    level = np.exp(rng.normal(0, 0.3, shape))
    a = level * rng.gamma(np.maximum(both, 1e-9)) * (both > 0)
    b = a * np.exp(0.1 + rng.normal(0, 0.1, shape))
    counts = (x.astype(np.int32) for x in (both, only_a, only_b))
    return PairedSums(tokens, *counts, a, b, a * a, b * b, a * b, a, b)


@pytest.mark.parametrize("documents", [60, 300])
@pytest.mark.parametrize("firing", [0.01, 0.3])
def test_intervals_cover_the_truth(documents: int, firing: float) -> None:
    rng = np.random.default_rng(documents)
    lost, gained = 0.15, 0.1
    sums = simulate(rng, documents=documents, firing=firing, lost=lost, gained=gained)
    truth = {
        "rate": np.log(1 - lost + gained),
        "magnitude": 0.1 + 0.1**2 / 2,
        "identity_sparse": 1 - (1 - lost) / (1 + gained),
    }
    estimates = sparse_estimates(sums)
    for name, value in truth.items():
        found = infer(name, estimates[name], Policy(), np.zeros(FEATURES, int))
        covered = ((found.lower <= value) & (value <= found.upper)).mean()
        # 93% to 97%, and the noise of this many features: three binomial standard errors.
        noise = 3 * np.sqrt(0.95 * 0.05 / FEATURES)
        assert 0.93 - noise < covered < 0.97 + noise, (name, covered)


@pytest.mark.parametrize("lost", [0.02, 0.2])
def test_features_within_and_at_the_margin_are_rarely_called_drifted(lost: float) -> None:
    rng = np.random.default_rng(5)
    sums = simulate(rng, documents=100, firing=0.05, lost=lost, gained=1e-9)
    table = judge(
        tuple(map(str, range(FEATURES))),
        count_activity(sums, dense=False),
        {k: (np.arange(FEATURES), v) for k, v in sparse_estimates(sums).items()},
        Policy(),
    )
    assert (table.verdict == "drifted").mean() < 0.01
    if lost > 0.1:  # at the margin of identity, stable is as wrong as drifted
        assert (table.verdict == "stable").mean() < 0.05


def test_tests_by_token_reject_true_nulls_where_tests_by_document_do_not() -> None:
    """Documents gain and lose together: at the token level, most nulls look significant."""
    rng = np.random.default_rng(8)
    documents, length = 80, 200
    flips = rng.beta(1, 4, (documents, FEATURES))
    toward = rng.random((documents, FEATURES)) < 0.5
    discordant = rng.binomial(length // 4, flips)
    only_a, only_b = np.where(toward, discordant, 0), np.where(toward, 0, discordant)
    both = np.full_like(only_a, length // 4) - only_a
    zeros = np.zeros(both.shape)
    counts = (x.astype(np.int32) for x in (both, only_a, only_b))
    sums = PairedSums(np.full(documents, length), *counts, *([zeros] * 7))
    found = infer("rate", sparse_estimates(sums)["rate"], Policy(), np.zeros(FEATURES, int))
    by_document = ((found.lower > 0) | (found.upper < 0)).mean()
    n10, n01 = only_a.sum(0), only_b.sum(0)
    mcnemar = stats.binom.cdf(np.minimum(n10, n01), n10 + n01, 0.5) * 2
    by_token = (mcnemar < 0.05).mean()
    assert by_token > 0.3
    assert 0.03 < by_document < 0.07
