"""Feature definitions are parsed at the edge, with errors that name the offending value."""

import pytest
from pydantic import TypeAdapter, ValidationError

from app.registry.definitions import Feature, check_feature_list

PARSE = TypeAdapter(Feature).validate_python
SITE = "blocks.2.hook_resid_post"


@pytest.mark.parametrize(
    "definition",
    [
        {"kind": "sae_latent", "name": "a", "dictionary": "d", "index": 3, "concept": "comment"},
        {"kind": "linear_probe", "name": "a", "site": SITE, "weights": [1, 2.5], "bias": -1},
        {"kind": "direction", "name": "a", "site": "model.layers.2", "vector": [0, 1]},
        {"kind": "neuron", "name": "a", "site": "blocks.0.mlp.hook_post", "index": 0},
        {"kind": "composite", "name": "a", "operation": "max", "components": [{"feature": "b"}]},
    ],
)
def test_each_kind_survives_a_round_trip(definition: dict[str, object]) -> None:
    feature = PARSE(definition)
    assert PARSE(feature.model_dump(mode="json")) == feature


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ({"kind": "probe", "name": "a"}, "probe"),
        ({"kind": "neuron", "name": "a b", "site": SITE, "index": 0}, "pattern"),
        ({"kind": "neuron", "name": "a", "site": "blocks.2.hook_x y", "index": 0}, "is no site"),
        ({"kind": "neuron", "name": "a", "site": SITE, "index": -1}, "greater than or equal to 0"),
        ({"kind": "direction", "name": "a", "site": SITE, "vector": [0, 0]}, "all zeros"),
        ({"kind": "direction", "name": "a", "site": SITE, "vector": [1], "center": [1, 2]}, "2 en"),
        ({"kind": "linear_probe", "name": "a", "site": SITE, "weights": [float("nan")]}, "finite"),
        ({"kind": "linear_probe", "name": "a", "site": SITE, "weights": []}, "at least 1"),
        ({"kind": "neuron", "name": "a", "site": SITE, "index": 1, "extra": 1}, "Extra inputs"),
        (
            {"kind": "sae_latent", "name": "a", "dictionary": "d", "index": 1, "threshold": -1},
            "greater than or equal to 0",
        ),
    ],
)
def test_a_bad_definition_is_refused(definition: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        PARSE(definition)


def composite(name: str, *parts: str) -> Feature:
    components = [{"feature": part} for part in parts]
    return PARSE({"kind": "composite", "name": name, "operation": "sum", "components": components})


def test_names_are_unique_and_composites_end_somewhere() -> None:
    neuron = PARSE({"kind": "neuron", "name": "n", "site": SITE, "index": 0})
    check_feature_list((composite("c", "b", "n"), composite("b", "n"), neuron))
    with pytest.raises(ValueError, match="'n' is defined twice"):
        check_feature_list((neuron, neuron))
    with pytest.raises(ValueError, match="refers to 'x'"):
        check_feature_list((composite("c", "x"),))
    with pytest.raises(ValueError, match="a → b → a"):
        check_feature_list((composite("a", "b"), composite("b", "a")))


def test_a_composite_of_latents_has_no_threshold_below_zero() -> None:
    latent = PARSE({"kind": "sae_latent", "name": "l", "dictionary": "d", "index": 0})
    low = composite("c", "l").model_copy(update={"threshold": -1.0})
    with pytest.raises(ValueError, match="'c' has threshold -1"):
        check_feature_list((low, latent))
    neuron = PARSE({"kind": "neuron", "name": "l", "site": SITE, "index": 0})
    check_feature_list((low, neuron))


def test_a_long_chain_of_composites_is_no_crash() -> None:
    neuron = PARSE({"kind": "neuron", "name": "f0", "site": SITE, "index": 0})
    chain = tuple(composite(f"f{i}", f"f{i - 1}") for i in range(1, 5000))
    check_feature_list((neuron, *reversed(chain)))
