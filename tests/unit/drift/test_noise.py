"""The noise floor and the score that starts at it."""

from collections.abc import Mapping

import numpy as np
import pytest

from tests.unit.drift.build import table
from workers.drift.noise import MAX_IDENTITY_FLOOR, measure_floor
from workers.drift.policy import DENSE_STRATUM, Floor, Policy
from workers.drift.score import drift_scores

CLUSTERS, LENGTH, FEATURES = 80, 40, 30
CLUSTER = np.repeat(np.arange(CLUSTERS), LENGTH)


def values(seed: int = 0, firing: float = 0.2) -> np.ndarray:
    rng = np.random.default_rng(seed)
    shape = (CLUSTERS * LENGTH, FEATURES)
    return np.where(rng.random(shape) < firing, 1 + rng.exponential(size=shape), 0.0)


def thin(a: np.ndarray, keep: float, seed: int = 1) -> np.ndarray:
    return np.where(np.random.default_rng(seed).random(a.shape) < keep, a, 0.0)


def identity(floors: Mapping[tuple[str, int], Floor]) -> Floor:
    (found,) = (f for (estimand, _), f in floors.items() if estimand == "identity_sparse")
    return found


def test_the_floor_is_an_observed_effect_of_the_loudest_null() -> None:
    a = values()
    quiet, loud = table(a, thin(a, 0.99), CLUSTER), table(a, thin(a, 0.9), CLUSTER)
    floor = identity(measure_floor({"reload": quiet, "bfloat16": loud}))
    assert floor.source == "bfloat16"
    assert floor.value == loud.inference["identity_sparse"].effect.max()
    median = identity(measure_floor({"bfloat16": loud}, level=0.5))
    assert median.value in loud.inference["identity_sparse"].effect
    assert median.value >= np.median(loud.inference["identity_sparse"].effect)


def test_equal_captures_have_a_floor_of_zero_and_change_no_margin() -> None:
    a = values()
    floors = measure_floor({"reload": table(a, a, CLUSTER)})
    assert floors
    assert {f.value for f in floors.values()} == {0.0}
    margin, source = Policy(noise_floor=floors).margins("identity_sparse", np.array([7]))
    assert (margin[0], source[0]) == (Policy().identity_sparse, "policy")


def test_strata_are_measured_apart_and_rare_features_not_at_all() -> None:
    often, seldom = values(firing=0.4), values(firing=0.05)
    null = table(
        np.hstack([often, seldom]), np.hstack([thin(often, 0.99), thin(seldom, 0.8)]), CLUSTER
    )
    by_stratum = {
        s: f.value for (e, s), f in measure_floor({"n": null}).items() if e == "identity_sparse"
    }
    assert len(by_stratum) == 2
    assert by_stratum[max(by_stratum)] < 0.05 < by_stratum[min(by_stratum)]
    assert measure_floor({"n": null}, min_active_documents=CLUSTERS + 1) == {}


def test_a_floor_of_identity_leaves_room_to_drift() -> None:
    a = values()
    b = np.where(a > 0, 0.0, values(5))
    assert identity(measure_floor({"n": table(a, b, CLUSTER)})).value == MAX_IDENTITY_FLOOR
    dense = table(a, -2 * a, CLUSTER, dense=True)
    floors = measure_floor({"n": dense})
    assert floors["identity_dense", DENSE_STRATUM].value == MAX_IDENTITY_FLOOR
    assert floors["shift", DENSE_STRATUM].value > 0.95


def test_a_feature_whose_numbers_do_not_repeat_sets_no_margin_for_others() -> None:
    a = values()
    b = thin(a, 0.99)
    b[:, 0] = np.roll(a[:, 0], 7)
    null = table(a, b, CLUSTER)
    assert identity(measure_floor({"n": null})).value > 0.8
    assert identity(measure_floor({"n": null}, without={"f0"})).value < 0.05
    assert measure_floor({"n": null}, without=null.names) == {}


def test_effects_that_are_unknown_do_not_count() -> None:
    a = values()
    a[:, 0] = 0
    floors = measure_floor({"n": table(a, thin(a, 0.9), CLUSTER)}, min_active_documents=0)
    assert all(np.isfinite(f.value) for f in floors.values())


@pytest.mark.parametrize("level", [0.0, 1.0, 2.0])
def test_a_level_that_is_no_quantile_is_refused(level: float) -> None:
    with pytest.raises(ValueError, match="quantile"):
        measure_floor({}, level)


@pytest.mark.parametrize("dense", [False, True])
def test_the_score_runs_from_noise_to_a_random_model(dense: bool) -> None:
    a = values()
    change = (lambda k: a + k * values(3)) if dense else (lambda k: thin(a, 1 - k))
    random = table(a, values(9), CLUSTER, dense=dense)
    null = table(a, change(0.1), CLUSTER, dense=dense)
    floors = measure_floor({"n": null}, 0.5)
    scores = [
        drift_scores(table(a, change(k), CLUSTER, dense=dense), random, floors).mean()
        for k in (0.02, 0.3, 0.6)
    ]
    assert scores[0] == 0
    assert 0 < scores[1] < scores[2] < 1
    assert (drift_scores(random, random, floors) == 1).all()


def test_a_dead_feature_scores_one_and_an_unknown_one_nothing() -> None:
    a = values()
    b = thin(a, 0.8)
    b[:, 0] = 0
    a[:, 1] = b[:, 1] = 0
    here, random = table(a, b, CLUSTER), table(a, values(9), CLUSTER)
    scores = drift_scores(here, random, {})
    assert scores[0] == 1
    assert np.isnan(scores[1])
    assert np.isfinite(scores[2:]).all()
    alone = drift_scores(here, None, {})
    assert alone[0] == 1
    assert np.isnan(alone[1:]).all()


def test_there_is_no_score_where_random_weights_move_no_further_than_noise() -> None:
    a = values()
    same = table(a, a, CLUSTER)
    assert np.isnan(drift_scores(table(a, thin(a, 0.5), CLUSTER), same, {})).all()
