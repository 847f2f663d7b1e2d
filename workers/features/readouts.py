"""Linear read-outs of a site: probes, directions and single coordinates."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from app.registry.definitions import Direction, LinearProbe, Neuron
from workers.errors import EvaluationError

Readout = LinearProbe | Direction | Neuron


def check_readout(feature: Readout, width: int) -> None:
    """Refuse a read-out that does not fit its site.

    Raises:
        EvaluationError: naming the feature, its size and the site's width.
    """
    if isinstance(feature, Neuron):
        if feature.index >= width:
            raise EvaluationError(
                "neuron_out_of_range",
                f"feature {feature.name!r} reads neuron {feature.index} of {feature.site!r}, which "
                f"has {width} (0 to {width - 1})",
            )
        return
    size = len(feature.weights if isinstance(feature, LinearProbe) else feature.vector)
    if size != width:
        raise EvaluationError(
            "width_mismatch",
            f"feature {feature.name!r} has {size} entries, but site {feature.site!r} of this "
            f"checkpoint is {width} wide",
        )


class SiteReadouts:
    """The read-outs of one site, evaluated together as x·W + b."""

    def __init__(
        self, features: tuple[tuple[int, Readout], ...], width: int, device: torch.device
    ) -> None:
        """Prepare the read-outs.

        Args:
            features: each read-out with the dense column that it fills.
        """
        for _, feature in features:
            check_readout(feature, width)
        neurons = [(column, f) for column, f in features if isinstance(f, Neuron)]
        linear = [(column, weights(f)) for column, f in features if not isinstance(f, Neuron)]
        self.columns = np.array([c for c, _ in neurons] + [c for c, _ in linear], dtype=np.int64)
        self._neurons = torch.tensor([f.index for _, f in neurons], device=device).long()
        self._weight = self._bias = torch.empty(0)
        if linear:
            matrix = np.stack([weight for _, (weight, _) in linear], axis=1)
            self._weight = torch.from_numpy(matrix.astype(np.float32)).to(device)
            self._bias = torch.tensor([bias for _, (_, bias) in linear], device=device)

    def evaluate(self, x: Tensor) -> NDArray[np.float32]:
        """Values float32 [T, len(columns)] of activations [T, width]."""
        x = x.float()
        parts = [x.index_select(1, self._neurons)]
        if self._weight.numel():
            parts.append(torch.addmm(self._bias, x, self._weight))
        return torch.cat(parts, dim=1).cpu().numpy()


def weights(feature: LinearProbe | Direction) -> tuple[NDArray[np.float64], float]:
    """A read-out as x·w + b; of a direction, w = v/‖v‖ and b = −c·w."""
    if isinstance(feature, LinearProbe):
        return np.asarray(feature.weights, dtype=np.float64), feature.bias
    vector = np.asarray(feature.vector, dtype=np.float64)
    # Scaled first, so that squaring neither underflows nor overflows.
    vector = vector / np.abs(vector).max()
    unit = vector / np.linalg.norm(vector)
    center = feature.center
    return unit, 0.0 if center is None else -float(np.dot(np.asarray(center), unit))
