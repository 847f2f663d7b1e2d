"""Composites: weighted sums, maxima and minima of other features, across sites and layers."""

from collections.abc import Callable, Mapping
from graphlib import TopologicalSorter

import numpy as np
from numpy.typing import NDArray

from app.registry.definitions import Composite, Feature


def evaluation_order(features: Mapping[str, Feature]) -> list[Composite]:
    """The composites, each after those it is made of.

    The definitions have been checked: every component exists and none depends on itself.
    """
    parts = {
        name: [component.feature for component in feature.components]
        for name, feature in features.items()
        if isinstance(feature, Composite)
    }
    found = (features[name] for name in TopologicalSorter(parts).static_order())
    return [feature for feature in found if isinstance(feature, Composite)]


def is_sparse(composite: Composite, sparse: Callable[[str], bool]) -> bool:
    """Whether a composite is never negative and mostly 0, as its components are.

    Args:
        sparse: tells of a component whether it is sparse, and so never negative.
    """
    return all(c.weight >= 0 and sparse(c.feature) for c in composite.components)


def evaluate(
    composite: Composite, value: Callable[[str], NDArray[np.float32]]
) -> NDArray[np.float32]:
    """A composite's value at each token.

    Args:
        value: gives a component's values [T].

    Returns:
        float32 [T]: Σ wᵢ·fᵢ, or the maximum or minimum of wᵢ·fᵢ.
    """
    combine = {"sum": np.add, "max": np.maximum, "min": np.minimum}[composite.operation]
    result: NDArray[np.float64] | None = None
    for component in composite.components:
        part = component.weight * value(component.feature).astype(np.float64)
        result = part if result is None else combine(result, part)
    if result is None:
        raise ValueError(f"composite {composite.name!r} has no components")
    return result.astype(np.float32)
