"""What an evaluation watches."""

from typing import Any

from pydantic import TypeAdapter

from app.core.ids import new_id
from app.registry.definitions import Feature
from workers.pipeline.targets import Target, WatchedFeature

PARSE: TypeAdapter[Any] = TypeAdapter(Feature)


def watched(**definition: Any) -> WatchedFeature:
    return WatchedFeature(new_id(), definition["name"], None, PARSE.validate_python(definition), "")


def composite(name: str, *parts: str) -> WatchedFeature:
    components = [{"feature": part} for part in parts]
    return watched(kind="composite", name=name, operation="sum", components=components)


def test_a_composite_reads_every_dictionary_of_its_parts() -> None:
    """One of them that describes nothing is enough to make the composite mean nothing."""
    features = (
        composite("deep", "both", "neuron"),
        composite("both", "a", "b"),
        composite("plain", "neuron"),
        watched(kind="sae_latent", name="a", dictionary="one", index=0),
        watched(kind="sae_latent", name="b", dictionary="two", index=0),
        watched(kind="neuron", name="neuron", site="blocks.0.hook_resid_post", index=0),
    )
    target = Target(features=features, whole=None, dictionaries=())
    assert target.dictionaries_of([feature.name for feature in features]) == {
        "a": {"one"},
        "b": {"two"},
        "both": {"one", "two"},
        "deep": {"one", "two"},
    }
