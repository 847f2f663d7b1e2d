"""What is told of margins that a noise floor raised, and of controls that did not run."""

import numpy as np

from app.monitors.policy import ControlPolicy, DriftPolicy
from tests.unit.drift.build import table
from workers.drift.noise import measure_floor
from workers.drift.policy import Policy
from workers.pipeline.notes import (
    controls_left_out,
    stable_by_benign_floor,
    stable_by_floor,
)

CLUSTERS, LENGTH, FEATURES = 200, 40, 20
CLUSTER = np.repeat(np.arange(CLUSTERS), LENGTH)


def test_a_benign_mark_that_hides_a_drift_is_told() -> None:
    rng = np.random.default_rng(0)
    shape = (CLUSTERS * LENGTH, FEATURES)
    a = np.where(rng.random(shape) < 0.2, 1.0, 0)

    def thinned(keep: float) -> np.ndarray:
        return np.where(rng.random(shape) < keep, a, 0)

    candidate = thinned(0.65)
    plain = Policy(rate=0.3)
    judged = table(a, candidate, CLUSTER, policy=plain)
    assert set(judged.verdict) == {"drifted"}
    assert list(stable_by_floor(judged, plain)) == []

    floor = measure_floor({"benign:step-7": table(a, thinned(0.55), CLUSTER)})
    hidden = table(a, candidate, CLUSTER, policy=Policy(rate=0.3, noise_floor=floor))
    assert set(hidden.verdict) == {"stable"}
    (note,) = stable_by_floor(hidden, plain)
    assert note.startswith(f"{FEATURES} of {FEATURES} stable features lie beyond")
    assert "benign:step-7" in note
    assert "identity_sparse from 0.2 to 0.4" in note


def test_a_floor_that_decides_nothing_is_no_news() -> None:
    rng = np.random.default_rng(0)
    a = np.where(rng.random((CLUSTERS * LENGTH, FEATURES)) < 0.2, 1.0, 0)
    floor = measure_floor({"benign:step-7": table(a, np.roll(a, 7, axis=0), CLUSTER)})
    policy = Policy(noise_floor=floor)
    assert list(stable_by_floor(table(a, a, CLUSTER, policy=policy), policy)) == []


def test_controls_that_the_policy_leaves_out_are_named() -> None:
    assert list(controls_left_out(DriftPolicy(), labelled=True, whole=False)) == []
    (note,) = controls_left_out(
        DriftPolicy(controls=ControlPolicy(randomised_model=False, numerics=False)),
        labelled=True,
        whole=False,
    )
    assert "randomised_model, numerics" in note


def test_without_activations_what_needs_them_is_named() -> None:
    policy = DriftPolicy(activation_tokens=0)
    (note,) = controls_left_out(policy, labelled=True, whole=False)
    assert "random_features, permuted_labels, baselines" in note
    assert list(controls_left_out(policy, labelled=False, whole=False)) == []


def test_causal_effects_asked_of_a_whole_dictionary_are_said_to_be_missing() -> None:
    policy = DriftPolicy.model_validate({"causal": {"features": "watchlist"}})
    (note,) = controls_left_out(policy, labelled=False, whole=True)
    assert "feature set" in note
    assert list(controls_left_out(policy, labelled=False, whole=False)) == []


def test_features_that_only_a_benign_mark_makes_stable_are_named_for_the_gate() -> None:
    rng = np.random.default_rng(0)
    shape = (CLUSTERS * LENGTH, FEATURES)
    a = np.where(rng.random(shape) < 0.2, 1.0, 0)
    # Only the first three change; the others are the same bit for bit.
    changed = a.copy()
    changed[:, :3] = np.where(rng.random((len(a), 3)) < 0.65, a[:, :3], 0)
    harmless = np.where(rng.random(shape) < 0.55, a, 0)
    plain = Policy(rate=0.3)
    for source, named in (("benign:step-7", ["step-7"]), ("float16", [])):
        floor = measure_floor({source: table(a, harmless, CLUSTER)})
        judged = table(a, changed, CLUSTER, policy=Policy(rate=0.3, noise_floor=floor))
        assert set(judged.verdict) == {"stable"}
        found = stable_by_benign_floor(judged, plain)
        assert found["checkpoints"] == named
        assert found["count"] == (3 if named else 0)
        assert sorted(found["features"]) == (list(judged.names[:3]) if named else [])
    assert stable_by_benign_floor(table(a, changed, CLUSTER, policy=plain), plain)["count"] == 0
