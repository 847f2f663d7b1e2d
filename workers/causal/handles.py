"""Handles: where and along which direction a feature's contribution is removed or added."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.registry.definitions import Composite, Direction, Feature, LinearProbe, Neuron, SaeLatent
from workers.features.dictionaries import TRANSCODERS, DictionarySource


@dataclass(frozen=True)
class Handle:
    """How one feature is intervened on."""

    name: str
    site: str
    """Where the vector is added."""
    reads: str
    """Where the feature's value is read; another site for a transcoder's latent."""
    unit: NDArray[np.float32]
    """[width] the feature's direction, of norm 1."""
    scale: float
    """Length that the vector has per unit of the feature's value."""
    threshold: float
    dictionary: str | None = None
    """Of a latent: where its contribution is 0 wherever its value is."""


def make_handles(
    definitions: Sequence[Feature],
    dictionaries: Mapping[str, DictionarySource],
    widths: Mapping[str, int],
) -> tuple[list[Handle], dict[str, str]]:
    """The features that have a direction, and why the others have none.

    Args:
        definitions: features that fit their sites and dictionaries, as `FeaturePlan.check` tells.
        widths: of the sites that the features read.

    Returns:
        The handles in the definitions' order, and a reason for each other feature by name.
    """
    handles: list[Handle] = []
    reasons: dict[str, str] = {}
    for feature in definitions:
        found = _handle(feature, dictionaries, widths)
        if isinstance(found, Handle):
            handles.append(found)
        else:
            reasons[feature.name] = found
    return handles, reasons


def _handle(
    feature: Feature, dictionaries: Mapping[str, DictionarySource], widths: Mapping[str, int]
) -> Handle | str:
    if isinstance(feature, Composite):
        return "A composite stands for several features and has no direction of its own."
    if isinstance(feature, SaeLatent):
        return _latent(feature, dictionaries[feature.dictionary])
    match feature:
        case LinearProbe():
            vector = np.asarray(feature.weights, dtype=np.float64)
        case Direction():
            vector = np.asarray(feature.vector, dtype=np.float64)
        case Neuron():
            vector = np.zeros(widths[feature.site])
            vector[feature.index] = 1.0
    if not vector.any():
        return "The probe's weights are all zeros and have no direction."
    unit, norm = _normalise(vector)
    # A probe's logit changes by ‖w‖ per unit of length; the other two read lengths already.
    scale = 1 / norm if isinstance(feature, LinearProbe) else 1.0
    return Handle(feature.name, feature.site, feature.site, unit, scale, feature.threshold)


def _latent(feature: SaeLatent, source: DictionarySource) -> Handle | str:
    site = source.output_site if source.architecture in TRANSCODERS else source.site
    if site is None:
        return (
            f"Transcoder {source.name!r} does not tell which site it writes to (hook_name_out), "
            "so that its latents cannot be removed there."
        )
    if source.architecture == "temporal":
        return (
            f"Dictionary {source.name!r} predicts part of its output by attention, so that a "
            "latent's contribution is not its decoder row alone."
        )
    vector = source.tensors()["W_dec"][feature.index].double().numpy()
    if not np.isfinite(vector).all() or not vector.any():
        return (
            f"Decoder row {feature.index} of dictionary {source.name!r} is zero or not finite and "
            "has no direction."
        )
    unit, norm = _normalise(vector)
    # SAELens divides the value by the row's norm again before it decodes.
    rescaled = bool(source.config.get("rescale_acts_by_decoder_norm"))
    scale = 1.0 if rescaled else norm
    return Handle(feature.name, site, source.site, unit, scale, feature.threshold, source.name)


def _normalise(vector: NDArray[np.float64]) -> tuple[NDArray[np.float32], float]:
    # Scaled first, so that squaring neither underflows nor overflows.
    largest = float(np.abs(vector).max())
    norm = float(np.linalg.norm(vector / largest)) * largest
    return (vector / norm).astype(np.float32), norm
