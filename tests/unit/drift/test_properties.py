"""What must hold of verdicts on any data: symmetry, order, scale, and nothing out of nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.drift.build import table
from workers.drift.policy import Policy
from workers.drift.verdicts import VerdictTable

CLUSTERS, FEATURES = 12, 6
POLICY = Policy(min_active_documents=6)
Drawn = tuple[np.ndarray, np.ndarray, np.ndarray]


def draw(seed: int, dense: bool) -> Drawn:
    """Paired values of a few unequal documents; sparse ones have zeros and ties."""
    rng = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(CLUSTERS), rng.integers(3, 30, CLUSTERS))
    shape = (len(cluster), FEATURES)
    a = rng.normal(size=shape) + 0.5 * rng.normal(size=(CLUSTERS, FEATURES))[cluster]
    b = rng.uniform(0.8, 1.2, FEATURES) * a + 0.3 * rng.normal(size=shape)
    if dense:
        return a, b, cluster
    return np.maximum(np.round(a, 1), 0), np.maximum(np.round(b, 1), 0), cluster


def same(one: VerdictTable, other: VerdictTable, *fields: str) -> None:
    assert one.verdict.tolist() == other.verdict.tolist()
    for estimand, found in one.inference.items():
        for name in fields:
            np.testing.assert_allclose(
                getattr(other.inference[estimand], name),
                getattr(found, name),
                rtol=1e-6,
                atol=1e-9,
                err_msg=f"{estimand} {name}",
            )


any_data = given(seed=st.integers(0, 100_000), dense=st.booleans())
few = settings(deadline=None, max_examples=25)


@few
@any_data
def test_neither_order_of_tokens_nor_names_of_documents_matter(seed: int, dense: bool) -> None:
    a, b, cluster = draw(seed, dense)
    rng = np.random.default_rng(seed)
    order, names = rng.permutation(len(cluster)), rng.permutation(CLUSTERS)
    shuffled = table(a[order], b[order], names[cluster][order], dense=dense, policy=POLICY)
    original = table(a, b, cluster, dense=dense, policy=POLICY)
    same(original, shuffled, "effect", "lower", "upper", "p_drifted", "p_stable")


@few
@any_data
def test_values_in_other_units_change_nothing(seed: int, dense: bool) -> None:
    a, b, cluster = draw(seed, dense)
    scaled = table(8 * a, 8 * b, cluster, dense=dense, policy=POLICY)
    same(table(a, b, cluster, dense=dense, policy=POLICY), scaled, "effect", "lower", "upper")


@few
@given(seed=st.integers(0, 100_000))
def test_with_sides_exchanged_ratios_turn_around_and_identity_stays(seed: int) -> None:
    a, b, cluster = draw(seed, False)
    there, back = (table(x, y, cluster, policy=POLICY).inference for x, y in ((a, b), (b, a)))
    for estimand in ("rate", "magnitude"):
        np.testing.assert_allclose(back[estimand].effect, -there[estimand].effect, atol=1e-12)
        np.testing.assert_allclose(back[estimand].upper, -there[estimand].lower, atol=1e-9)
    for name in ("effect", "lower", "upper"):
        for estimand in ("identity_sparse", "strength"):
            np.testing.assert_allclose(
                getattr(back[estimand], name), getattr(there[estimand], name), atol=1e-9
            )


@few
@any_data
def test_pairing_other_tokens_leaves_margins_and_breaks_identity(seed: int, dense: bool) -> None:
    """Rates and moments are blind to which tokens stand beside each other; identity is not."""
    a, b, cluster = draw(seed, dense)
    rolled = np.concatenate([np.roll(b[cluster == g], 1, axis=0) for g in range(CLUSTERS)])
    kept, broken = (table(a, x, cluster, dense=dense, policy=POLICY).inference for x in (b, rolled))
    for estimand in ("shift", "scale") if dense else ("rate",):
        np.testing.assert_allclose(broken[estimand].effect, kept[estimand].effect, atol=1e-9)
    identity = "identity_dense" if dense else "identity_sparse"
    assert (broken[identity].effect > kept[identity].effect).all()


@few
@any_data
def test_effects_lie_in_their_intervals_and_p_values_between_0_and_1(
    seed: int, dense: bool
) -> None:
    for row in table(*draw(seed, dense), dense=dense, policy=POLICY):
        for e in row.estimates.values():
            assert e.lower <= e.upper
            assert e.effect <= e.upper + 1e-12
            assert 0 <= e.p_drifted <= 1
            assert 0 <= e.p_stable <= 1
            assert e.p_drifted + e.p_stable >= 1 - 1e-9


@pytest.mark.parametrize("dense", [False, True])
def test_a_single_document_decides_nothing(dense: bool) -> None:
    a, b, cluster = draw(0, dense)
    found = table(a, b, np.zeros_like(cluster), dense=dense, policy=Policy(min_active_documents=2))
    assert set(found.verdict.tolist()) == {"insufficient"}
    assert not any(row.estimates for row in found)


@pytest.mark.parametrize("dense", [False, True])
def test_features_that_are_zero_everywhere_have_no_estimate(dense: bool) -> None:
    cluster = np.repeat(np.arange(60), 3)
    zeros = np.zeros((180, 2))
    found = table(zeros, zeros, cluster, dense=dense, policy=POLICY)
    assert not set(found.verdict.tolist()) & {"stable", "drifted"}
    assert not any(row.estimates for row in found)
