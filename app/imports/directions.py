"""Directions from a `.safetensors` file: each tensor is one, named by its key.

The value of a feature is (x − center)·v/‖v‖ with the scaling `unit`, a direction; and
(x − center)·v with `as-is`, a linear probe. A tensor `NAME.center` is the center of the direction
`NAME`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import hypot
from pathlib import Path
from typing import Any, Literal, get_args

from app.imports.errors import refuse
from app.imports.names import name_of
from app.imports.placing import site_of
from app.imports.tensors import Tensor, TensorFile, json_of, read_tensors

Scaling = Literal["unit", "as-is"]
_CENTER = ".center"
_ALLOWED = frozenset({"site", "layer", "concept", "description", "threshold"})


@dataclass(frozen=True)
class Imported:
    """Definitions of features, and what a person should know of how they came about."""

    features: list[dict[str, Any]]
    notes: list[str]


def read_directions(
    path: Path | str,
    *,
    site: str | None = None,
    scaling: Scaling | None = None,
    concepts: Mapping[str, str] | None = None,
) -> Imported:
    """Definitions from the tensors of a file.

    The file's metadata may say `site` or `layer`, `scaling`, and `features`: a JSON object of key →
    {"site" or "layer", "concept", "description", "threshold"}.

    Args:
        site: where all of them read, unless the file says so.
        scaling: whether the vectors' lengths count; default: as the file says, else `unit`.
        concepts: key → the concept that it claims to stand for.

    Raises:
        ImportRefusedError: naming the tensor and what is wrong with it.
    """
    file = read_tensors(Path(path))
    each = _each(file)
    stated = file.metadata.get("scaling")
    if stated is not None and stated not in get_args(Scaling):
        refuse(file.path, f"metadata scaling is {stated!r}; it must be 'unit' or 'as-is'")
    if stated and scaling and stated != scaling:
        refuse(file.path, f"the file says scaling {stated!r}, but {scaling!r} was asked for")
    chosen = scaling or stated or "unit"
    keys = [
        key
        for key in file.tensors
        if not (key.endswith(_CENTER) and key.removesuffix(_CENTER) in file.tensors)
    ]
    wanted = dict(concepts or {})
    for key in [*wanted, *each]:
        if key not in keys:
            refuse(file.path, f"there is no direction {key!r}; it holds {', '.join(keys)}")
    notes, features, sources = [], [], dict[str, str]()
    lengths = []
    for key in keys:
        name = name_of(key)
        if not name:
            refuse(file.path, f"tensor {key!r} has no letter or digit to name a feature by")
        if name in sources:
            refuse(
                file.path,
                f"tensors {sources[name]!r} and {key!r} would both be named {name!r}; rename one",
            )
        sources[name] = key
        if name != key:
            notes.append(f"tensor {key!r} is named {name!r}")
        vector = _vector(file.path, key, file.tensors[key])
        lengths.append(hypot(*vector))
        if not any(vector):
            refuse(file.path, f"tensor {key!r} is all zeros and has no direction")
        center = file.tensors.get(key + _CENTER)
        own = each.get(key, {})
        placed = own if {"site", "layer"} & own.keys() else file.metadata
        definition = {
            "name": name,
            "site": site_of(file.path, placed, site, f"tensor {key!r}"),
            **_words(own, wanted.get(key)),
            **_values(file.path, key, vector, center, chosen == "unit"),
        }
        features.append(definition)
    shortest, longest = min(lengths), max(lengths)
    notes.append(
        f"the vectors' lengths ({shortest:.3g} to {longest:.3g}) "
        + ("are divided out" if chosen == "unit" else "are kept: values are x·v, not x·v/‖v‖")
    )
    return Imported(features, notes)


def _each(file: TensorFile) -> dict[str, dict[str, Any]]:
    each = json_of(file.path, file.metadata, "features") or {}
    if not isinstance(each, dict) or not all(isinstance(one, dict) for one in each.values()):
        refuse(file.path, "metadata 'features' must be a JSON object of tensor → what it is")
    for key, one in each.items():
        if unknown := sorted(one.keys() - _ALLOWED):
            known = ", ".join(sorted(_ALLOWED))
            refuse(file.path, f"metadata of {key!r}: unknown {unknown[0]!r}; known are {known}")
    return each


def _words(own: Mapping[str, Any], concept: str | None) -> dict[str, Any]:
    words = {key: own[key] for key in ("concept", "description", "threshold") if key in own}
    return words if concept is None else {**words, "concept": concept}


def _vector(path: Path, key: str, tensor: Tensor) -> tuple[float, ...]:
    if len(tensor.shape) != 1 and not (len(tensor.shape) == 2 and 1 in tensor.shape):
        refuse(
            path,
            f"tensor {key!r} has shape {list(tensor.shape)}; a direction is one vector, [width]. "
            "Save each row under a name of its own",
        )
    return tensor.values


def _values(
    path: Path, key: str, vector: tuple[float, ...], center: Tensor | None, unit: bool
) -> dict[str, Any]:
    middle = None if center is None else _vector(path, key + _CENTER, center)
    if middle is not None and len(middle) != len(vector):
        refuse(path, f"{key + _CENTER!r} has {len(middle)} entries, but {key!r} has {len(vector)}")
    if unit:
        found: dict[str, Any] = {"kind": "direction", "vector": list(vector)}
        return found if middle is None else {**found, "center": list(middle)}
    bias = 0.0 if middle is None else -sum(a * b for a, b in zip(vector, middle, strict=True))
    return {"kind": "linear_probe", "weights": list(vector), "bias": bias}
