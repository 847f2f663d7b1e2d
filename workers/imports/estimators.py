"""Probes from a logistic regression that scikit-learn has fitted, in the program that fitted it.

Whatever of its pipeline is affine is folded into weights and bias; anything else is refused. What
comes out is compared with the estimator itself on random inputs before it is given out.
"""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.imports.directions import Imported
from app.imports.errors import ImportRefusedError
from app.imports.placing import site_of
from app.imports.probes import Regression, class_name, probes_from

Matrix = NDArray[np.float64]
_TOLERANCE = 1e-6
_FOLDED = (
    "StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler, PCA, IncrementalPCA, TruncatedSVD, "
    "feature selectors"
)


def probes_of(
    estimator: Any,
    *,
    site: str,
    prefix: str = "",
    concept: str | None = None,
    class_concepts: bool = False,
) -> Imported:
    """Definitions of a fitted logistic regression, alone or at the end of a pipeline.

    Args:
        estimator: a LogisticRegression, LogisticRegressionCV, SGDClassifier of the loss `log_loss`,
            a Pipeline that ends in one, or a search whose best estimator is one.
        site: where its inputs were read.
        prefix, concept, class_concepts: as for `app.imports.probes.probes_from`.

    Returns:
        Definitions for `client.feature_sets.publish`, and notes on what was folded.

    Raises:
        ImportRefusedError: it is not fitted, not linear, or does something that no probe can.
    """
    fitted, folded = regression_of(estimator)
    found = probes_from(
        fitted, site=site, prefix=prefix, concept=concept, class_concepts=class_concepts
    )
    return Imported(found.features, [*(f"{step} is folded in" for step in folded), *found.notes])


def save_probes(path: Path | str, estimator: Any, *, site: str) -> None:
    """Write what `featuredrift features import sklearn` reads: numbers alone, nothing that runs.

    Raises:
        ImportRefusedError: as for `probes_of`.
    """
    from safetensors.numpy import save_file

    fitted, _ = regression_of(estimator)
    site_of(Path(path), {"site": site}, None, "the regression")
    metadata = {
        "classes_": json.dumps(fitted.classes),
        "multi_class": "ovr" if fitted.one_vs_rest else "multinomial",
        "site": site,
    }
    tensors = {"coef_": np.asarray(fitted.coef), "intercept_": np.asarray(fitted.intercept)}
    save_file(tensors, str(path), metadata=metadata)


def regression_of(estimator: Any) -> tuple[Regression, list[str]]:
    """The regression on unscaled inputs, and the names of the steps that were folded in.

    Raises:
        ImportRefusedError: as for `probes_of`.
    """
    steps, last = _steps(estimator)
    coef, intercept, one_vs_rest = _coefficients(last)
    folded = []
    for name, step in reversed(steps):
        folding = _fold(step, coef, intercept)
        if folding is None:
            continue
        coef, intercept = folding
        folded.append(f"{type(step).__name__} ({name})")
    _compare(estimator, coef, intercept)
    classes = [class_name(label) for label in np.asarray(last.classes_).tolist()]
    fitted = Regression(
        path=Path(type(estimator).__name__),
        coef=[tuple(row) for row in coef.tolist()],
        intercept=tuple(intercept.tolist()),
        classes=classes,
        one_vs_rest=one_vs_rest,
    )
    return fitted, folded[::-1]


def _steps(estimator: Any) -> tuple[list[tuple[str, Any]], Any]:
    from sklearn.exceptions import NotFittedError
    from sklearn.pipeline import Pipeline
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(estimator)
    except NotFittedError:
        raise ImportRefusedError(f"{_said(estimator)} is not fitted; call fit first") from None
    except TypeError:
        raise ImportRefusedError(
            f"{_said(estimator)} is no estimator of scikit-learn; give a fitted LogisticRegression "
            "or a Pipeline that ends in one"
        ) from None
    if hasattr(estimator, "best_estimator_"):
        return _steps(estimator.best_estimator_)
    if isinstance(estimator, Pipeline):
        before = list(estimator.steps[:-1])
        inner, last = _steps(estimator.steps[-1][1])
        return [*before, *inner], last
    return [], estimator


def _coefficients(last: Any) -> tuple[Matrix, Matrix, bool]:
    from sklearn.linear_model import LogisticRegression, LogisticRegressionCV, SGDClassifier

    logistic = isinstance(last, LogisticRegression | LogisticRegressionCV)
    stochastic = isinstance(last, SGDClassifier)
    if not (logistic or stochastic):
        raise ImportRefusedError(
            f"{_said(last)} is no logistic regression; a probe's value is a logit, so refit with "
            "LogisticRegression, or save its weights as a direction"
        )
    if stochastic and last.loss != "log_loss":
        raise ImportRefusedError(
            f"{_said(last)} has the loss {last.loss!r}, whose value is no logit; fit it with "
            "loss='log_loss'"
        )
    coef = last.coef_.toarray() if hasattr(last.coef_, "toarray") else last.coef_
    coef = np.atleast_2d(np.asarray(coef, dtype=np.float64))
    intercept = np.broadcast_to(np.asarray(last.intercept_, dtype=np.float64), (len(coef),))
    if not (np.isfinite(coef).all() and np.isfinite(intercept).all()):
        raise ImportRefusedError(f"{_said(last)} has weights that are not finite; fit it anew")
    kind = getattr(last, "multi_class", None)
    if len(coef) == 1 and kind == "multinomial":
        raise ImportRefusedError(
            f"{_said(last)} was fitted with multi_class='multinomial' on two classes, where its "
            "score is half a logit; fit it with the default"
        )
    one_vs_rest = stochastic or kind == "ovr" or getattr(last, "solver", "") == "liblinear"
    return coef, intercept, one_vs_rest and len(coef) > 1


def _fold(step: Any, coef: Matrix, intercept: Matrix) -> tuple[Matrix, Matrix] | None:
    """Scores of an affine step's outputs as scores of its inputs; None: the step does nothing."""
    from sklearn import decomposition, preprocessing
    from sklearn.feature_selection import SelectorMixin

    if step is None or step == "passthrough":
        return None
    match step:
        case preprocessing.FunctionTransformer(func=None):
            return None
        case preprocessing.StandardScaler():
            # A mean is kept even where it is not taken away.
            scale = _or(step.scale_ if step.with_std else None, 1.0)
            mean = _or(step.mean_ if step.with_mean else None, 0.0)
            return _scaled(coef, intercept, 1.0 / scale, -mean / scale)
        case preprocessing.RobustScaler():
            scale = _or(step.scale_ if step.with_scaling else None, 1.0)
            center = _or(step.center_ if step.with_centering else None, 0.0)
            return _scaled(coef, intercept, 1.0 / scale, -center / scale)
        case preprocessing.MinMaxScaler(clip=False):
            return _scaled(coef, intercept, step.scale_, step.min_)
        case preprocessing.MaxAbsScaler() if not getattr(step, "clip", False):
            return _scaled(coef, intercept, 1.0 / step.scale_, np.float64(0.0))
        case decomposition.PCA() | decomposition.IncrementalPCA():
            rotation = np.asarray(step.components_, dtype=np.float64)
            if step.whiten:
                rotation = rotation / np.sqrt(step.explained_variance_)[:, None]
            mean = _or(step.mean_, 0.0) * np.ones(rotation.shape[1])
            return coef @ rotation, intercept - coef @ (rotation @ mean)
        case decomposition.TruncatedSVD():
            return coef @ step.components_, intercept
        case SelectorMixin():
            support = step.get_support()
            wide = np.zeros((len(coef), len(support)))
            wide[:, support] = coef
            return wide, intercept
    raise ImportRefusedError(
        f"the step {_said(step)} cannot be folded into a linear probe; {_FOLDED} can (without "
        "clipping). Refit without it"
    )


def _scaled(coef: Matrix, intercept: Matrix, factor: Any, shift: Any) -> tuple[Matrix, Matrix]:
    """Of y = x·factor + shift, entry by entry."""
    return coef * factor, intercept + (coef * shift).sum(axis=1)


def _or(value: Any, otherwise: float) -> Any:
    return np.float64(otherwise) if value is None else np.asarray(value, dtype=np.float64)


def _compare(estimator: Any, coef: Matrix, intercept: Matrix) -> None:
    """Refuse where the folded scores are not the estimator's own."""
    x = np.random.default_rng(0).normal(size=(16, coef.shape[1]))
    with warnings.catch_warnings():
        # Names of columns have no part in a value.
        warnings.simplefilter("ignore", UserWarning)
        own = np.asarray(estimator.decision_function(x)).reshape(len(x), -1)
    ours = x @ coef.T + intercept
    worst = float(np.abs(own - ours).max() / max(1.0, float(np.abs(own).max())))
    if not worst <= _TOLERANCE:
        raise ImportRefusedError(
            f"{_said(estimator)} does not do what its fitted attributes say: its scores differ by "
            f"{worst:.2g} (relative); a step of its own kind cannot be folded"
        )


def _said(thing: Any) -> str:
    return type(thing).__name__
