"""Definitions of features in words: what is read, where."""

from collections.abc import Mapping
from typing import Any


def describe(definition: Mapping[str, Any] | None) -> str | None:
    """One line on a definition; its digest, not this, is exact."""
    if not definition:
        return None
    site = definition.get("site")
    match definition.get("kind"):
        case "sae_latent":
            said = f"latent {definition['index']} of dictionary {definition['dictionary']}"
        case "linear_probe":
            said = f"linear probe with {len(definition['weights'])} weights at {site}"
        case "direction":
            said = f"direction of {len(definition['vector'])} numbers at {site}"
            if definition.get("center"):
                said += ", from a centre"
        case "neuron":
            said = f"neuron {definition['index']} of {site}"
        case "composite":
            parts = (f"{part['weight']:g} × {part['feature']}" for part in definition["components"])
            said = f"{definition['operation']} of {_cut(list(parts))}"
        case other:
            said = str(other)
    threshold = definition.get("threshold")
    return f"{said}, on above {threshold:g}" if threshold else said


def latent(name: str, dictionary: str | None) -> str | None:
    """A latent of a whole dictionary, which has no definition of its own."""
    if dictionary is None:
        return None
    return f"latent {name.removeprefix('latent-')} of dictionary {dictionary}"


def _cut(parts: list[str], limit: int = 8) -> str:
    if len(parts) <= limit:
        return ", ".join(parts)
    return f"{', '.join(parts[:limit])} and {len(parts) - limit} more"
