"""The drift policy: what older releases stored stays valid, and nonsense is refused."""

from typing import Any

import pytest
from pydantic import ValidationError

from app.monitors.policy import CausalPolicy, DriftPolicy

STORED_BY_THE_FIRST_RELEASE: dict[str, Any] = {
    "margins": {
        "rate": 0.2,
        "magnitude": 0.2,
        "identity": 0.3,
        "shift": 0.2,
        "scale": 0.2,
        "identity_dense": 0.1,
        "concept": 0.02,
    },
    "q": 0.05,
    "alpha": 0.05,
    "min_active_documents": 50,
    "fvu_max": 0.5,
    "gate": {"max_drifted_ratio": 0.0, "max_unproven_ratio": 0.0},
}


def test_a_policy_of_before_gets_the_defaults_of_what_came_since() -> None:
    policy = DriftPolicy.model_validate(STORED_BY_THE_FIRST_RELEASE)
    assert policy.margins.identity == 0.3
    assert policy.margins.robustness == 0.1
    assert policy.margins.strength == 0.2
    assert (policy.pages.alpha, policy.pages.planned_checkpoints) == (0.05, 13)
    assert policy.controls.randomised_model
    assert policy.causal.features == "none"
    assert policy.activation_tokens == 131_072


def test_what_is_stored_is_read_back_the_same() -> None:
    policy = DriftPolicy(causal=CausalPolicy(features=("phone", "e-mail")))
    assert DriftPolicy.model_validate(policy.model_dump(mode="json")) == policy


@pytest.mark.parametrize(
    ("policy", "where"),
    [
        ({"pages": {"alpha": 0}}, "pages.alpha"),
        ({"pages": {"planned_share": 1}}, "pages.planned_share"),
        ({"pages": {"planned_checkpoints": 0}}, "pages.planned_checkpoints"),
        ({"slow_drift": {"weight": 0}}, "slow_drift.weight"),
        ({"slow_drift": {"margin_share": 1.5}}, "slow_drift.margin_share"),
        ({"controls": {"seed": -1}}, "controls.seed"),
        ({"controls": {"no_op": False}}, "controls.no_op"),
        ({"causal": {"features": "all"}}, "causal.features"),
        ({"causal": {"features": ["two words"]}}, "causal.features"),
        ({"causal": {"strength": 0}}, "causal.strength"),
        ({"activation_tokens": -1}, "activation_tokens"),
        ({"margins": {"robustness": 1}}, "margins.robustness"),
    ],
)
def test_nonsense_is_refused_and_named(policy: dict[str, Any], where: str) -> None:
    with pytest.raises(ValidationError) as caught:
        DriftPolicy.model_validate(policy)
    for error in caught.value.errors():
        assert ".".join(map(str, error["loc"])).startswith(where)
