"""Proposed definitions: the map or the new read-out folded into a feature, with its evidence."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.registry.definitions import Direction, Feature, LinearProbe, Neuron, SaeLatent
from workers.diagnosis.maps import AffineMap
from workers.diagnosis.question import ProposedFeature
from workers.diagnosis.realign import CannotRealignError, realign, rescale_latents
from workers.diagnosis.trials import Trials
from workers.features.readouts import weights

Array = NDArray[np.float64]

NOTE = (
    "Each document was judged by a fit on the other half of the documents; the proposed definition "
    "is fitted on all of them."
)

Proposal = tuple[ProposedFeature | None, str | None]
"""The repair, or why there is none."""


def fold_readout(feature: Feature, mapping: AffineMap, *, rigid: bool) -> Feature:
    """A probe, direction or neuron behind a map x → x·M + t, exactly.

    w′ = M·w and b′ = b + t·w. A direction stays one under a rigid map, with v′ = M·v and
    c′ = (c − t)·Mᵀ; under any other its unit length would lose the scale, and it becomes a probe.

    Raises:
        TypeError: the feature is no read-out.
    """
    if isinstance(feature, Direction) and rigid:
        vector = mapping.M @ np.asarray(feature.vector)
        center = np.zeros(len(vector)) if feature.center is None else np.asarray(feature.center)
        moved = (center - mapping.t) @ mapping.M.T
        return feature.model_copy(update={"vector": _floats(vector), "center": _floats(moved)})
    if isinstance(feature, Neuron):
        w, b = np.zeros(len(mapping.t)), 0.0
        w[feature.index] = 1.0
    elif isinstance(feature, LinearProbe | Direction):
        w, b = weights(feature)
    else:
        raise TypeError(f"{feature.name!r} is a {feature.kind}, no read-out of a site")
    return probe(feature, feature.site, mapping.M @ w, b + float(mapping.t @ w), feature.threshold)


def probe(feature: Feature, site: str, w: Array, b: float, threshold: float) -> LinearProbe:
    """A linear probe in a feature's place."""
    return LinearProbe(
        name=feature.name,
        concept=feature.concept,
        description=feature.description,
        threshold=threshold,
        site=site,
        weights=_floats(w),
        bias=float(b),
    )


def propose(
    feature: Feature, evidence: dict[str, Any], dictionary: dict[str, Any] | None = None
) -> ProposedFeature:
    """A proposal with its evidence and where that comes from."""
    return ProposedFeature(
        feature.name,
        feature.model_dump(mode="json"),
        dictionary,
        {**evidence, "note": NOTE},
    )


def mapped_repair(
    trials: Trials, feature: Feature, kind: str, evidence: dict[str, Any]
) -> Proposal:
    """The feature behind the map of its site fitted on everything."""
    question = trials.question
    if isinstance(feature, SaeLatent):
        source = question.dictionaries[feature.dictionary]
        mapping = trials.maps(source.site).get(kind, None)
        return _in_new_dictionary(
            trials, feature, evidence, lambda folder: realign(source, mapping, folder)
        )
    if not isinstance(feature, LinearProbe | Direction | Neuron):
        return None, "a composite is repaired by repairing its components"
    mapping = trials.maps(feature.site).get(kind, None)
    return propose(fold_readout(feature, mapping, rigid=kind == "procrustes"), evidence), None


def own_scale_repair(
    trials: Trials, feature: Feature, factor: float, evidence: dict[str, Any]
) -> Proposal:
    """The feature's own value times a factor."""
    if isinstance(feature, SaeLatent):
        source = trials.question.dictionaries[feature.dictionary]
        return _in_new_dictionary(
            trials,
            feature,
            evidence,
            lambda folder: rescale_latents(source, {feature.index: factor}, folder),
        )
    if not isinstance(feature, LinearProbe | Direction | Neuron):
        return None, "a composite is repaired by repairing its components"
    as_it_is = AffineMap.scale(1.0, trials.width(feature.site))
    scaled = fold_readout(feature, as_it_is, rigid=False)
    if not isinstance(scaled, LinearProbe):
        raise TypeError(scaled.kind)
    w = factor * np.asarray(scaled.weights)
    return propose(
        probe(feature, feature.site, w, factor * scaled.bias, feature.threshold), evidence
    ), None


def _in_new_dictionary(
    trials: Trials, feature: SaeLatent, evidence: dict[str, Any], make: Callable[[Path], Path]
) -> Proposal:
    folder = trials.question.folder
    if folder is None:
        return None, "no folder was given to write a realigned dictionary to"
    source = trials.question.dictionaries[feature.dictionary]
    try:
        path = make(folder)
    except CannotRealignError as error:
        return None, str(error)
    # A name ends up in a URL and has at most 128 characters.
    name = f"{source.name[:100]}-realigned-{path.name[:12]}"
    changed = feature.model_copy(update={"dictionary": name})
    described = {
        "name": name,
        "site": source.site,
        "source": str(path.resolve()),
        "realigned_from": source.name,
    }
    return propose(changed, evidence, described), None


def _floats(values: Array) -> tuple[float, ...]:
    return tuple(float(v) for v in values)
