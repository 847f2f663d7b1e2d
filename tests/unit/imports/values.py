"""What a worker would measure with a definition that was imported."""

from typing import Any

import numpy as np

from app.registry.definitions import Direction, LinearProbe
from workers.features.readouts import weights

SITE = "blocks.1.hook_resid_post"
RANDOM = np.random.default_rng(3)


def value(definition: dict[str, Any], x: np.ndarray) -> np.ndarray:
    """What a worker would measure."""
    kind = {"direction": Direction, "linear_probe": LinearProbe}[definition["kind"]]
    weight, bias = weights(kind(**definition))
    return x @ weight + bias
