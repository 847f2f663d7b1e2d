"""Linear probes as numbers: the fitted attributes of a logistic regression, and of its scaler.

A pickle runs whatever its author wants, so none is ever read. The same attributes, under
scikit-learn's own names, stand in a `.safetensors` file (tensors `coef_`, `intercept_`, and where
there is a scaler `mean_` and `scale_`; metadata `classes_`, `site`) or in JSON (the same keys).
`workers.imports.save_probes` writes them from an estimator.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.imports.directions import Imported
from app.imports.errors import refuse
from app.imports.names import name_of
from app.imports.placing import site_of
from app.imports.readers.jsonl import read_json
from app.imports.tensors import Tensor, json_of, read_tensors

MAX_JSON_BYTES = 128 << 20
_ARRAYS = frozenset({"coef_", "intercept_", "mean_", "scale_"})
_PICKLES = (".pkl", ".pickle", ".joblib", ".skops", ".npz", ".npy", ".bin", ".pt")
Vector = tuple[float, ...]


@dataclass(frozen=True)
class Regression:
    """A fitted logistic regression.

    Attributes:
        path: where it comes from, for errors.
        coef: [rows, width]; one row for two classes, else one for each.
        intercept: [rows].
        mean, scale: [width], of a scaler x → (x − mean)/scale before it.
        classes: names, as many as classes; none where the file says none.
        one_vs_rest: whether each row was fitted alone, against all other classes.
    """

    path: Path
    coef: list[Vector]
    intercept: Vector
    mean: Vector | None = None
    scale: Vector | None = None
    classes: list[str] = field(default_factory=list)
    one_vs_rest: bool = False
    metadata: dict[str, Any] = field(default_factory=dict)


def read_probes(path: Path | str, **options: Any) -> Imported:
    """Definitions from a file; the options are those of `probes_from`.

    Raises:
        ImportRefusedError: naming the value and what is wrong with it.
    """
    return probes_from(_read(Path(path)), **options)


def probes_from(
    fitted: Regression,
    *,
    site: str | None = None,
    prefix: str = "",
    concept: str | None = None,
    class_concepts: bool = False,
) -> Imported:
    """One probe for a regression of two classes; one for each class where there are more.

    With more than two classes, the probe of class k is x·(w_k − w̄) + (b_k − b̄), its logit less the
    mean over all classes. The probabilities are those of the regression, since they do not change
    when the same is taken from all logits.

    Args:
        site: where the probe reads, unless the file says so.
        prefix: put before each name.
        concept: what a probe of two classes claims to stand for.
        class_concepts: let each probe claim to stand for the concept of its class' name.

    Raises:
        ImportRefusedError: naming the value and what is wrong with it.
    """
    where = site_of(fitted.path, fitted.metadata, site, "the regression")
    rows, biases, notes = _folded(fitted)
    if len(rows) == 1:
        names = fitted.classes[1:] or ["probe"]
    else:
        names = fitted.classes or [f"class-{k}" for k in range(len(rows))]
        if concept is not None:
            refuse(
                fitted.path,
                f"has {len(rows)} classes, so that one concept cannot be that of all; leave it "
                "out, or take the classes' names as concepts",
            )
    features: list[dict[str, Any]] = []
    for label, weights, bias in zip(names, rows, biases, strict=True):
        name = name_of(prefix + label)
        if not name or any(name == feature["name"] for feature in features):
            refuse(fitted.path, f"class {label!r} gives the name {name!r}, which is none or taken")
        claims = label if class_concepts else concept
        features.append(
            {
                "kind": "linear_probe",
                "name": name,
                "site": where,
                "weights": list(weights),
                "bias": bias,
                **({} if claims is None else {"concept": claims}),
            }
        )
    return Imported(features, notes)


def _folded(fitted: Regression) -> tuple[list[Vector], list[float], list[str]]:
    """Weights and biases for unscaled activations, and what was done to them."""
    rows, biases, notes = fitted.coef, list(fitted.intercept), []
    width = len(rows[0])
    if fitted.mean is not None or fitted.scale is not None:
        scale = fitted.scale or (1.0,) * width
        mean = fitted.mean or (0.0,) * width
        for position, value in enumerate(scale):
            if value == 0:
                refuse(fitted.path, f"scale_[{position}] is 0; a scaler cannot divide by it")
        rows = [tuple(w / s for w, s in zip(row, scale, strict=True)) for row in rows]
        biases = [
            bias - sum(w * m for w, m in zip(row, mean, strict=True))
            for row, bias in zip(rows, biases, strict=True)
        ]
        notes.append("the scaler is folded into weights and bias")
    if len(rows) > 1 and not fitted.one_vs_rest:
        count = len(rows)
        middle = [sum(column) / count for column in zip(*rows, strict=True)]
        level = sum(biases) / count
        rows = [tuple(w - m for w, m in zip(row, middle, strict=True)) for row in rows]
        biases = [bias - level for bias in biases]
        notes.append(
            f"{count} classes: each probe is its class' logit less the mean of all, so that it is "
            "on where its class is likelier than the geometric mean"
        )
    for k, row in enumerate(rows):
        if not any(row):
            refuse(fitted.path, f"the weights of row {k} are all zeros; nothing would be measured")
    return rows, biases, notes


def _read(path: Path) -> Regression:
    if path.suffix.lower() in _PICKLES:
        refuse(
            path,
            f"{path.suffix} files are not read: a pickle can run code. In the program that has the "
            "estimator, `workers.imports.save_probes(path, estimator, site=…)` writes "
            ".safetensors",
        )
    arrays, metadata = _from_json(path) if path.suffix.lower() == ".json" else _from_tensors(path)
    for name in ("coef_", "intercept_"):
        if name not in arrays:
            refuse(path, f"has no {name}; save the fitted attributes coef_ and intercept_")
    coef = _matrix(path, arrays["coef_"])
    width = len(coef[0])
    intercept = _vector(path, "intercept_", arrays["intercept_"], len(coef))
    classes = _classes(path, metadata.get("classes_"), len(coef))
    kind = metadata.get("multi_class", "multinomial")
    if kind not in ("multinomial", "ovr"):
        refuse(path, f"multi_class is {kind!r}; it must be 'multinomial' or 'ovr'")
    mean, scale = (
        _vector(path, name, arrays[name], width) if name in arrays else None
        for name in ("mean_", "scale_")
    )
    return Regression(path, coef, intercept, mean, scale, classes, kind == "ovr", metadata)


def _from_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    file = read_tensors(path)
    if unknown := sorted(file.tensors.keys() - _ARRAYS):
        refuse(
            path,
            f"tensor {unknown[0]!r} is no attribute of a logistic regression or a scaler; known "
            f"are {', '.join(sorted(_ARRAYS))}. Directions have a command of their own",
        )
    classes = json_of(path, file.metadata, "classes_")
    return file.tensors, {**file.metadata, "classes_": classes}


def _from_json(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    value = read_json(path, MAX_JSON_BYTES, "save it as .safetensors")
    known = _ARRAYS | {"classes_", "multi_class", "site", "layer"}
    if not isinstance(value, dict) or (value.keys() - known):
        refuse(path, f"must be a JSON object of {', '.join(sorted(known))}")
    arrays = {name: _numbers(path, name, value[name]) for name in _ARRAYS & value.keys()}
    return arrays, {key: value[key] for key in value.keys() - _ARRAYS if value[key] is not None}


def _numbers(path: Path, name: str, value: Any) -> Tensor:
    """A list of numbers, or a list of lists of equal length."""
    rows = value if isinstance(value, list) and value and isinstance(value[0], list) else [value]
    width = len(rows[0]) if isinstance(rows[0], list) else 0
    for row in rows:
        if not isinstance(row, list) or not row or len(row) != width:
            refuse(path, f"{name} must be a list of numbers, or of lists of equal length")
        for number in row:
            if isinstance(number, bool) or not isinstance(number, int | float):
                refuse(path, f"{name} holds {json.dumps(number)[:40]}; it must hold numbers")
            if abs(number) > 1e300:
                refuse(path, f"{name} holds {str(number)[:40]}, too large to reckon with")
    flat = tuple(float(number) for row in rows for number in row)
    return Tensor((width,) if rows[0] is value else (len(rows), width), flat)


def _matrix(path: Path, tensor: Tensor) -> list[Vector]:
    if len(tensor.shape) > 2:
        refuse(path, f"coef_ has shape {list(tensor.shape)}; it must be [classes, width]")
    rows = tensor.rows()
    if len(rows) == 2:
        refuse(path, "coef_ has two rows; with two classes, scikit-learn's has one")
    return rows


def _vector(path: Path, name: str, tensor: Tensor, length: int) -> Vector:
    if len(tensor.values) != length:
        refuse(path, f"{name} has {len(tensor.values)} entries, but coef_ needs {length}")
    return tensor.values


def _classes(path: Path, value: Any, rows: int) -> list[str]:
    if value is None:
        return []
    expected = 2 if rows == 1 else rows
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != expected:
        refuse(path, f"classes_ must list {expected} classes; it is {str(value)[:80]}")
    return [class_name(name) for name in value]


def class_name(label: Any) -> str:
    """What a class is called; numbers are no names by themselves."""
    return label if isinstance(label, str) else f"class-{label}"
