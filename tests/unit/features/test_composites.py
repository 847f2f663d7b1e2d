"""Composites of composites, however deep and however entangled."""

from typing import Any

from pydantic import TypeAdapter

from app.registry.definitions import Feature, check_feature_list
from workers.features.composites import evaluation_order
from workers.features.plan import FeaturePlan

PARSE: TypeAdapter[Any] = TypeAdapter(Feature)
NEURON = PARSE.validate_python(
    {"kind": "neuron", "name": "f0", "site": "blocks.0.hook_resid_post", "index": 0}
)


def composite(name: str, *parts: str) -> Any:
    components = [{"feature": part} for part in parts]
    return PARSE.validate_python(
        {"kind": "composite", "name": name, "operation": "sum", "components": components}
    )


def test_a_chain_longer_than_the_stack_is_planned() -> None:
    chain = tuple(composite(f"f{i}", f"f{i - 1}") for i in range(1, 3000))
    features = (*reversed(chain), NEURON)
    check_feature_list(features)
    order = evaluation_order({feature.name: feature for feature in features})
    assert [feature.name for feature in order] == [feature.name for feature in chain]
    assert len(FeaturePlan.build(features, {}).columns.dense) == 3000


def test_composites_that_share_their_parts_are_looked_at_once() -> None:
    """Each stands on the one before twice: looked at by path, 60 of them would never end."""
    tower = tuple(composite(f"f{i}", f"f{i - 1}", f"f{i - 1}") for i in range(1, 61))
    assert len(FeaturePlan.build((NEURON, *tower), {}).columns.dense) == 61
