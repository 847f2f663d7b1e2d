"""The ladder, one story a rung."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.stats import binomtest

from workers.drift.activity import count_activity
from workers.drift.estimands import dense_estimates, sparse_estimates
from workers.drift.ladder import Blocked, judge
from workers.drift.policy import Floor, Policy, firing_stratum
from workers.drift.records import VERDICTS
from workers.drift.sums import dense_sums, sparse_sums
from workers.drift.verdicts import VerdictTable, summarise

CLUSTERS, LENGTH = 100, 50
CLUSTER = np.repeat(np.arange(CLUSTERS), LENGTH)


def verdicts(
    a: np.ndarray,
    b: np.ndarray,
    *,
    policy: Policy | None = None,
    blocked: dict[str, Blocked] | None = None,
    dense: bool = False,
) -> VerdictTable:
    features = a.shape[1]
    zeros = np.zeros(features)
    sums = (
        dense_sums(a, b, CLUSTER, CLUSTERS, zeros)
        if dense
        else sparse_sums(csr_array(a), csr_array(b), CLUSTER, CLUSTERS, zeros)
    )
    found = dense_estimates(sums) if dense else sparse_estimates(sums)
    return judge(
        tuple(f"f{i}" for i in range(features)),
        count_activity(sums, dense=dense),
        {name: (np.arange(features), estimates) for name, estimates in found.items()},
        policy or Policy(),
        blocked=blocked,
    )


@pytest.fixture
def latents() -> np.ndarray:
    """[tokens, 8] activations that fire on a tenth to a half of the tokens."""
    rng = np.random.default_rng(0)
    shape = (CLUSTERS * LENGTH, 8)
    return np.where(rng.random(shape) < np.linspace(0.1, 0.5, 8), rng.exponential(size=shape), 0.0)


def thin(values: np.ndarray, keep: float, seed: int = 1) -> np.ndarray:
    return np.where(np.random.default_rng(seed).random(values.shape) < keep, values, 0.0)


def test_the_same_activations_have_effects_of_exactly_zero_and_are_stable(
    latents: np.ndarray,
) -> None:
    sparse, dense = verdicts(latents, latents), verdicts(latents - 1, latents - 1, dense=True)
    for table, estimands in ((sparse, 4), (dense, 3)):
        for row in table:
            assert row.verdict == "stable"
            assert "bit for bit" in row.reason
            assert len(row.estimates) == estimands
            for e in row.estimates.values():
                assert (e.effect, e.lower, e.upper, e.se, e.p_stable) == (0, 0, 0, 0, 0)


def test_a_slight_change_is_stable_and_each_kind_of_change_is_named(latents: np.ndarray) -> None:
    b = thin(latents, 0.97)
    b[:, 1] *= 2
    b[:, 2] = thin(latents[:, 2], 0.5)
    b[:, 3] = np.roll(latents[:, 3], 7)
    b[:, 4] = 0
    a = latents.copy()
    a[:, 5] = 0
    table = verdicts(a, b)
    assert [row.verdict for row in table] == ["stable"] + ["drifted"] * 5 + ["stable"] * 2
    assert table[1].change == "magnitude"
    assert table[1].estimand == "magnitude"
    assert table[1].effect == pytest.approx(np.log(2), abs=0.01)
    assert set(table[2].changes) == {"rate", "identity"}
    assert table[3].changes == ("identity",)
    assert table[3].estimates["rate"].effect == 0
    assert table[4].change == "dead"
    assert table[5].change == "born"
    summary = summarise(table)
    assert summary.counts == dict.fromkeys(VERDICTS, 0) | {"drifted": 5, "stable": 3}
    assert summary.changes["dead"] == summary.changes["born"] == 1
    assert summary.drifted_lower < summary.drifted_ratio == 5 / 8 < summary.drifted_upper


def test_dense_features_drift_by_shift_scale_and_identity() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=(CLUSTERS * LENGTH, 4))
    b = a + 0.05 * rng.normal(size=a.shape)
    b[:, 1] += 0.5
    b[:, 2] *= 2
    b[:, 3] = rng.normal(size=len(a))
    table = verdicts(a, b, dense=True)
    assert [row.verdict for row in table] == ["stable", "drifted", "drifted", "drifted"]
    assert "magnitude" in table[1].changes
    assert table[1].estimates["shift"].effect == pytest.approx(0.5, abs=0.02)
    assert table[2].estimates["scale"].effect == pytest.approx(np.log(2), abs=0.02)
    assert table[3].changes == ("identity",)


def test_too_few_documents_are_insufficient_with_the_exact_sign_test(latents: np.ndarray) -> None:
    a, b = np.zeros_like(latents), np.zeros_like(latents)
    a[::LENGTH, 0] = np.where(np.arange(CLUSTERS) < 12, 1.0, 0.0)
    b[::LENGTH, 0] = np.where((np.arange(CLUSTERS) >= 9) & (np.arange(CLUSTERS) < 14), 1.0, 0.0)
    row = verdicts(a, b)[0]
    assert row.verdict == "insufficient"
    assert row.g_active == 14
    assert row.sign_test_p == pytest.approx(binomtest(2, 11, 0.5).pvalue)
    assert "Only 14 active documents" in row.reason
    # An interval from so few documents does not cover what it claims.
    assert (row.lower, row.upper) == (None, None)
    assert all(e.lower is None and np.isfinite(e.effect) for e in row.estimates.values())


@pytest.mark.parametrize(("documents", "verdict"), [(3, "insufficient"), (12, "drifted")])
def test_a_rare_feature_dies_only_beyond_doubt(documents: int, verdict: str) -> None:
    a = np.zeros((CLUSTERS * LENGTH, 1))
    a[: documents * LENGTH : LENGTH] = 1.0
    row = verdicts(a, np.zeros_like(a))[0]
    assert row.verdict == verdict
    assert row.change == ("dead" if verdict == "drifted" else None)
    assert row.sign_test_p == pytest.approx(binomtest(0, documents, 0.5).pvalue)


@pytest.mark.parametrize(("documents", "verdict"), [(5, "drifted"), (10, "insufficient")])
def test_features_that_could_have_died_count_among_the_tests(documents: int, verdict: str) -> None:
    """In five documents no sign test can be significant at .05; in ten, one could have been."""
    a = np.zeros((CLUSTERS * LENGTH, 11))
    a[: documents * LENGTH : LENGTH] = 1.0
    b = a.copy()
    a[:, 0] = b[:, 0] = 0.0
    a[: 8 * LENGTH : LENGTH, 0] = 1.0
    row = verdicts(a, b)[0]
    assert row.verdict == verdict
    assert row.q_drifted == pytest.approx(2 * 0.5**8 * (1 if documents == 5 else 11))


def test_where_both_fire_on_the_same_tokens_identity_may_be_zero(latents: np.ndarray) -> None:
    row = verdicts(latents, 1.5 * latents)[0]
    identity, rate = row.estimates["identity_sparse"], row.estimates["rate"]
    assert identity.effect == identity.lower == 0
    # Not below the rule of three (Hanley and Lippman-Hand 1983).
    assert 3 / np.count_nonzero(latents[:, 0]) < identity.upper < 0.05
    # One discordant token may be just around the corner.
    assert rate.effect == 0
    assert rate.se == pytest.approx(1 / np.count_nonzero(latents[:, 0]), rel=0.01)


def test_a_feature_that_never_fires_is_insufficient_and_no_test(latents: np.ndarray) -> None:
    latents[:, 0] = 0
    row = verdicts(latents, latents)[0]
    assert row.verdict == "insufficient"
    assert row.q_drifted is None
    assert row.estimates == {}


def test_what_the_data_cannot_decide_is_inconclusive(latents: np.ndarray) -> None:
    # About 20% of the tokens where it fires are not shared: just at the margin.
    table = verdicts(latents[:, :1], thin(latents[:, :1], 0.8))
    assert table[0].verdict == "inconclusive"
    assert table[0].estimand in ("identity_sparse", "rate")
    assert table[0].lower < table[0].margin < table[0].upper


def test_a_failed_control_and_a_failed_check_come_first(latents: np.ndarray) -> None:
    blocked = {
        "f0": Blocked("untrusted", "It survives random weights."),
        "f1": Blocked("invalid", "Its dictionary fails."),
    }
    table = verdicts(latents, thin(latents, 0.3), blocked=blocked)
    assert (table[0].verdict, table[0].reason) == ("untrusted", "It survives random weights.")
    assert table[1].verdict == "invalid"
    assert table[0].q_drifted is None
    assert table[2].verdict == "drifted"


def test_the_noise_floor_raises_a_margin_and_says_so(latents: np.ndarray) -> None:
    b = thin(latents, 0.7)
    before = verdicts(latents, b)
    stratum = firing_stratum(np.full(1, 0.4), np.zeros(1, bool))[0]
    policy = Policy(
        noise_floor={
            ("identity_sparse", int(stratum)): Floor(0.5, "benign updates"),
            ("rate", int(stratum)): Floor(0.6, "benign updates"),
            ("strength", int(stratum)): Floor(0.5, "benign updates"),
        }
    )
    after = verdicts(latents, b, policy=policy)
    assert before[7].verdict == "drifted"
    assert after[7].verdict == "stable"
    assert after[7].estimates["identity_sparse"].margin == 0.5
    assert after[7].estimates["identity_sparse"].margin_source == "noise_floor:benign updates"
    assert after[7].estimates["magnitude"].margin_source == "policy"


def test_what_could_not_be_estimated_is_not_called_stable(latents: np.ndarray) -> None:
    """Never both on: the magnitude is unknown, and the noise floor lets everything else pass."""
    a = latents[:, :1]
    b = np.where(np.roll(a, 1, axis=0) * (a == 0) > 0, 1.0, 0.0)
    floor = Floor(1.0, "benign updates")
    policy = Policy(
        noise_floor={("identity_sparse", s): floor for s in range(9)}
        | {("rate", s): floor for s in range(9)}
    )
    row = verdicts(a, b, policy=policy)[0]
    assert set(row.estimates) == {"rate", "identity_sparse"}
    assert max(e.p_stable for e in row.estimates.values()) < 1e-6
    assert row.verdict == "inconclusive"


def test_the_most_pressing_features_come_first(latents: np.ndarray) -> None:
    b = thin(latents, 0.98)
    b[:, 5] = 0
    b[:, 6] *= 3
    assert {row.name for row in verdicts(latents, b).top(2)} == {"f5", "f6"}


def test_a_policy_that_makes_no_sense_is_refused_with_its_value() -> None:
    with pytest.raises(ValueError, match=r"margin rate is -0\.1"):
        Policy(rate=-0.1)
    with pytest.raises(ValueError, match="q is 1"):
        Policy(q=1)
    with pytest.raises(ValueError, match="min_active_documents is 1"):
        Policy(min_active_documents=1)


def test_a_dense_feature_that_changes_its_sign_drifts() -> None:
    a = np.random.default_rng(1).normal(size=(len(CLUSTER), 12))
    a -= a.mean(0)
    found = verdicts(a, -a, dense=True)
    assert set(found.verdict) == {"drifted"}
    assert all(1.99 < row.lower <= row.effect <= row.upper == 2 for row in found)
