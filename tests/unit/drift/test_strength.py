"""Which of its tokens a sparse latent fires strongly on: 1 − Lin's concordance of its values."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from workers.drift.activity import count_activity
from workers.drift.estimands import MIN_CO_ACTIVE, dense_estimates, sparse_estimates
from workers.drift.ladder import judge
from workers.drift.policy import Estimand, Floor, Policy
from workers.drift.records import FeatureVerdict
from workers.drift.sums import PairedSums, dense_sums, sparse_sums

CLUSTERS, LENGTH = 200, 50
CLUSTER = np.repeat(np.arange(CLUSTERS), LENGTH)


@pytest.fixture
def latent() -> np.ndarray:
    """[tokens, 1] a latent that fires on a twentieth of the tokens."""
    rng = np.random.default_rng(0)
    shape = (CLUSTERS * LENGTH, 1)
    return np.where(rng.random(shape) < 0.05, rng.exponential(size=shape), 0.0)


def sums_of(a: np.ndarray, b: np.ndarray) -> PairedSums:
    return sparse_sums(csr_array(a), csr_array(b), CLUSTER, CLUSTERS, np.zeros(a.shape[1]))


def verdict(a: np.ndarray, b: np.ndarray, policy: Policy | None = None) -> FeatureVerdict:
    sums = sums_of(a, b)
    found = {e: (np.arange(1), x) for e, x in sparse_estimates(sums).items()}
    return judge(("f",), count_activity(sums, dense=False), found, policy or Policy())[0]


def rearranged(a: np.ndarray, how: str) -> np.ndarray:
    """The same strengths on the same tokens, in another order."""
    on = np.flatnonzero(a[:, 0])
    b = a.copy()
    if how == "permuted":
        b[on, 0] = np.random.default_rng(1).permutation(a[on, 0])
    else:
        b[on[np.argsort(a[on, 0])], 0] = np.sort(a[on, 0])[::-1]
    return b


@pytest.mark.parametrize("how", ["permuted", "reversed"])
def test_strengths_on_other_tokens_of_the_same_set_are_a_drift_of_identity(
    latent: np.ndarray, how: str
) -> None:
    row = verdict(latent, rearranged(latent, how))
    assert (row.verdict, row.change, row.estimand) == ("drifted", "identity", "strength")
    assert row.changes == ("identity",)
    for blind in ("rate", "magnitude", "identity_sparse"):
        assert row.estimates[blind].effect == pytest.approx(0, abs=1e-12)
    assert "how strongly it fires on which token" in row.reason
    assert row.lower is not None
    assert row.lower > 0.2


def test_it_is_one_minus_the_concordance_over_all_tokens(latent: np.ndarray) -> None:
    b = rearranged(latent, "permuted") * 0.9 + np.roll(latent, 3, axis=0) * 0.3
    found = sparse_estimates(sums_of(latent, b))["strength"]
    x, y = latent[:, 0], b[:, 0]
    covariance = ((x - x.mean()) * (y - y.mean())).mean()
    concordance = 2 * covariance / (x.var() + y.var() + (y.mean() - x.mean()) ** 2)
    assert found.effect[0] == pytest.approx(1 - concordance)
    # The same numbers as a dense feature of the same values has.
    dense = dense_estimates(dense_sums(latent, b, CLUSTER, CLUSTERS, np.zeros(1)))
    assert found.point[0] == pytest.approx(dense["identity_dense"].point[0])
    assert found.variance[0] == pytest.approx(dense["identity_dense"].variance[0])


def test_the_order_of_tokens_is_nothing_and_the_pairing_is_everything(latent: np.ndarray) -> None:
    rng = np.random.default_rng(2)
    b = latent * rng.uniform(0.9, 1.1, latent.shape)
    order = np.concatenate([c * LENGTH + rng.permutation(LENGTH) for c in range(CLUSTERS)])
    kept = sparse_estimates(sums_of(latent, b))["strength"]
    both = sparse_estimates(sums_of(latent[order], b[order]))["strength"]
    one = sparse_estimates(sums_of(latent, b[order]))["strength"]
    np.testing.assert_allclose(both.effect, kept.effect, atol=1e-12)
    assert kept.effect[0] < 0.02
    assert one.effect[0] > 0.8


def test_a_scale_shows_as_magnitude_and_hardly_as_strength(latent: np.ndarray) -> None:
    found = sparse_estimates(sums_of(latent, 1.25 * latent))
    assert found["magnitude"].effect[0] == pytest.approx(np.log(1.25))
    assert found["strength"].effect[0] == pytest.approx(1 - 2 * 1.25 / (1 + 1.25**2), abs=0.003)
    assert verdict(latent, 1.5 * latent).changes == ("magnitude",)


def test_of_equal_values_strength_is_the_identity_of_tokens(latent: np.ndarray) -> None:
    """Ties throughout: a concordance of two indicators, near Dice's coefficient where rare."""
    a = (latent > 0).astype(float)
    b = np.where(np.random.default_rng(3).random(a.shape) < 0.9, a, 0.0)
    found = sparse_estimates(sums_of(a, b))
    lost = found["identity_sparse"].effect[0]
    assert found["strength"].effect[0] == pytest.approx(lost / (2 - lost), abs=0.005)
    assert verdict(a, a).verdict == "stable"


def test_where_it_cannot_be_told_there_is_no_number(latent: np.ndarray) -> None:
    nothing = np.zeros_like(latent)
    few = nothing.copy()
    few[np.flatnonzero(latent)[: MIN_CO_ACTIVE - 1]] = 1.0
    for a, b in ((nothing, nothing), (latent, nothing), (few, few), (few, 2 * few)):
        assert np.isnan(sparse_estimates(sums_of(a, b))["strength"].point[0])
    few[np.flatnonzero(latent)[MIN_CO_ACTIVE]] = 1.0
    assert sparse_estimates(sums_of(few, few))["strength"].identical[0]
    assert verdict(latent, nothing).change == "dead"


def test_untold_strength_does_not_keep_a_feature_from_stable(latent: np.ndarray) -> None:
    """Nine shared tokens among many, where a noise floor lets the others differ."""
    on = np.flatnonzero(latent)
    a, b = (np.zeros_like(latent) for _ in range(2))
    shared = MIN_CO_ACTIVE - 1
    a[on[: shared + 100]] = 1.0
    b[np.concatenate([on[:shared], on[shared + 100 : shared + 200]])] = 1.0
    floors: dict[tuple[Estimand, int], Floor] = {
        ("identity_sparse", s): Floor(0.99999, "benign") for s in range(9)
    }
    floors |= {("rate", s): Floor(3.0, "benign") for s in range(9)}
    row = verdict(a, b, Policy(noise_floor=floors))
    assert "strength" not in row.estimates
    assert row.verdict == "stable"
