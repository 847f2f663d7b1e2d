"""Controls say that they have nothing to judge, and only then."""

from typing import Any

import pytest

from app.monitors.policy import DriftPolicy
from app.verdicts.tables import DOES_NOT_APPLY
from workers.controls.applicability import not_applicable

CLAIMED = {"up": "number", "down": "name"}


@pytest.mark.parametrize(
    ("kept", "concepts", "labelled", "why"),
    [
        (64, {}, {"number"}, "no watched feature claims a concept"),
        (64, CLAIMED, {"mood"}, "labels none of the concepts that features claim ('name', 'number"),
        (0, CLAIMED, {"number"}, "activation_tokens is 0"),
    ],
)
def test_what_gives_them_nothing_is_named(
    kept: int, concepts: dict[str, str], labelled: set[str], why: str
) -> None:
    policy = DriftPolicy.model_validate({"activation_tokens": kept})
    found = list(not_applicable(policy, concepts, labelled))

    assert [one.control for one in found] == ["random_features", "permuted_labels"]
    for one in found:
        assert why in one.detail
        assert (one.passed, one.figures) == (None, DOES_NOT_APPLY)


@pytest.mark.parametrize(
    ("policy", "labelled"),
    [
        ({}, {"number"}),
        ({"controls": {"random_features": False, "permuted_labels": False}}, set()),
    ],
    ids=["there is something to judge", "the policy leaves them out"],
)
def test_otherwise_they_say_nothing(policy: dict[str, Any], labelled: set[str]) -> None:
    assert not list(not_applicable(DriftPolicy.model_validate(policy), CLAIMED, labelled))
