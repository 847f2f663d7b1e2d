"""Logistic regressions as probes, from the program that fitted them and from their numbers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_classification
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import (
    LogisticRegression,
    LogisticRegressionCV,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
)

from app.imports import ImportRefusedError
from app.imports.probes import read_probes
from tests.unit.imports.values import SITE, value
from workers.imports import probes_of, save_probes


def data(classes: int = 2, width: int = 12) -> tuple[np.ndarray, np.ndarray]:
    return make_classification(  # type: ignore[no-any-return]
        300, width, n_informative=6, n_classes=classes, random_state=0, shift=2.0, scale=3.0
    )


@pytest.mark.parametrize(
    "steps",
    [
        (),
        (StandardScaler(),),
        (StandardScaler(with_mean=False),),
        (StandardScaler(with_std=False),),
        (RobustScaler(),),
        (RobustScaler(with_centering=False),),
        (MinMaxScaler((-1, 2)),),
        (MaxAbsScaler(),),
        (StandardScaler(), PCA(5, whiten=True), "passthrough", StandardScaler()),
        (TruncatedSVD(5), SelectKBest(k=3), FunctionTransformer()),
    ],
    ids=lambda steps: "-".join(getattr(type(s), "__name__", "") for s in steps) or "alone",
)
def test_a_probe_is_the_logit_of_the_whole_pipeline(steps: tuple[Any, ...], tmp_path: Path) -> None:
    x, y = data()
    pipeline = make_pipeline(*steps, LogisticRegression(max_iter=2000)).fit(x, y)
    (probe,) = probes_of(pipeline, site=SITE, concept="spam").features
    assert (probe["kind"], probe["name"], probe["concept"]) == ("linear_probe", "class-1", "spam")
    probability = 1 / (1 + np.exp(-value(probe, x)))
    np.testing.assert_allclose(probability, pipeline.predict_proba(x)[:, 1], atol=1e-6)
    save_probes(tmp_path / "p.safetensors", pipeline, site=SITE)
    (again,) = read_probes(tmp_path / "p.safetensors", concept="spam").features
    np.testing.assert_allclose(again["weights"], probe["weights"])
    assert again["bias"] == pytest.approx(probe["bias"])


def test_several_classes_are_several_probes(tmp_path: Path) -> None:
    x, y = data(4)
    names = np.array(["cat", "dog", "cow", "ewe"])
    search = GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)),
        {"logisticregression__C": [0.1, 1.0]},
        cv=2,
    ).fit(x, names[y])
    found = probes_of(search, site=SITE, prefix="animal-", class_concepts=True)
    assert [one["name"] for one in found.features] == [
        f"animal-{name}" for name in ("cat", "cow", "dog", "ewe")
    ]
    assert found.features[1]["concept"] == "cow"
    scores = np.stack([value(one, x) for one in found.features], axis=1)
    np.testing.assert_allclose(scores.sum(axis=1), 0, atol=1e-8)
    softmax = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(softmax, search.predict_proba(x), atol=1e-6)
    assert any("folded in" in note for note in found.notes)
    save_probes(tmp_path / "p.safetensors", search, site=SITE)
    again = read_probes(tmp_path / "p.safetensors", prefix="animal-", class_concepts=True)
    assert [one["name"] for one in again.features] == [one["name"] for one in found.features]
    for one, other in zip(again.features, found.features, strict=True):
        np.testing.assert_allclose(one["weights"], other["weights"])


def test_classes_fitted_one_against_the_rest_keep_their_own_logit() -> None:
    x, y = data(3)
    fitted = SGDClassifier(loss="log_loss", random_state=0).fit(x, y)
    found = probes_of(fitted, site=SITE).features
    scores = np.stack([value(one, x) for one in found], axis=1)
    np.testing.assert_allclose(scores, fitted.decision_function(x), rtol=1e-6)


def test_cross_validated_regressions_are_taken() -> None:
    x, y = data()
    fitted = LogisticRegressionCV(
        cv=2, Cs=2, l1_ratios=(0.0,), use_legacy_attributes=False, scoring="neg_log_loss"
    ).fit(x, y)
    (probe,) = probes_of(fitted, site=SITE).features
    np.testing.assert_allclose(value(probe, x), fitted.decision_function(x))


class Squared(StandardScaler):
    """Looks like a scaler, and is none."""

    def transform(self, X: Any, copy: Any = None) -> Any:
        return np.square(super().transform(X))


@pytest.mark.parametrize(
    ("estimator", "said"),
    [
        (make_pipeline(PolynomialFeatures(), LogisticRegression()), "the step PolynomialFeatures"),
        (make_pipeline(Normalizer(), LogisticRegression()), "Normalizer cannot be folded"),
        (make_pipeline(MinMaxScaler(clip=True), LogisticRegression()), "without clipping"),
        (make_pipeline(FunctionTransformer(np.abs), LogisticRegression()), "FunctionTransformer"),
        (make_pipeline(Squared(), LogisticRegression()), "does not do what its fitted"),
        (RidgeClassifier(), "RidgeClassifier is no logistic regression"),
        (SGDClassifier(), "has the loss 'hinge'"),
        (CalibratedClassifierCV(LogisticRegression()), "CalibratedClassifierCV is no logistic"),
        (Ridge(), "Ridge is no logistic regression"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_folded_is_refused(estimator: Any, said: str) -> None:
    x, y = data()
    with pytest.raises(ImportRefusedError) as caught:
        probes_of(estimator.fit(x, y), site=SITE)
    assert said in caught.value.detail


def test_what_is_not_fitted_is_refused() -> None:
    with pytest.raises(ImportRefusedError, match="is not fitted; call fit first"):
        probes_of(LogisticRegression(), site=SITE)
    with pytest.raises(ImportRefusedError, match="str is no estimator"):
        probes_of("model.pkl", site=SITE)


def test_plain_attributes_in_json_and_tensors_are_the_same(tmp_path: Path) -> None:
    x, y = data()
    scaler = StandardScaler().fit(x)
    fitted = LogisticRegression().fit(scaler.transform(x), y)
    arrays = {
        "coef_": fitted.coef_,
        "intercept_": fitted.intercept_,
        "mean_": scaler.mean_,
        "scale_": scaler.scale_,
    }
    save_file(arrays, tmp_path / "p.safetensors", metadata={"classes_": '["ham", "spam"]'})
    body = {name: array.tolist() for name, array in arrays.items()}
    (tmp_path / "p.json").write_text(json.dumps({**body, "classes_": ["ham", "spam"]}))
    for name in ("p.safetensors", "p.json"):
        found = read_probes(tmp_path / name, site=SITE)
        (probe,) = found.features
        assert probe["name"] == "spam"
        assert found.notes == ["the scaler is folded into weights and bias"]
        np.testing.assert_allclose(
            value(probe, x), fitted.decision_function(scaler.transform(x)), rtol=1e-9
        )


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"intercept_": [0]}, "has no coef_"),
        ({"coef_": [[1, 2]]}, "has no intercept_"),
        ({"coef_": [[1, 2], [3]], "intercept_": [0, 0]}, "lists of equal length"),
        ({"coef_": [[1, 10**400]], "intercept_": [0]}, "too large to reckon with"),
        ({"coef_": [[1, "2"]], "intercept_": [0]}, 'coef_ holds "2"; it must hold numbers'),
        ({"coef_": [[1, 2]], "intercept_": [0, 1]}, "intercept_ has 2 entries, but coef_ needs 1"),
        ({"coef_": [[1, 2], [3, 4]], "intercept_": [0, 1]}, "coef_ has two rows"),
        ({"coef_": [[1, 2]], "intercept_": [0], "scale_": [1, 0]}, "scale_[1] is 0"),
        ({"coef_": [[1, 2]], "intercept_": [0], "mean_": [1]}, "mean_ has 1 entries"),
        ({"coef_": [[0, 0]], "intercept_": [0]}, "the weights of row 0 are all zeros"),
        ({"coef_": [[1, 2]], "intercept_": [0], "classes_": ["a"]}, "must list 2 classes"),
        ({"coef_": [[1, 2]], "intercept_": [0], "pickle": 1}, "must be a JSON object of"),
        ({"coef_": [[1, 2]], "intercept_": [0], "multi_class": "x"}, "multi_class is 'x'"),
    ],
)
def test_attributes_that_do_not_fit_are_refused(tmp_path: Path, body: Any, said: str) -> None:
    path = tmp_path / "p.json"
    path.write_text(json.dumps(body))
    with pytest.raises(ImportRefusedError) as caught:
        read_probes(path, site=SITE)
    assert said in caught.value.detail


@pytest.mark.parametrize("name", ["p.pkl", "p.joblib", "p.skops", "p.npz"])
def test_a_pickle_is_never_opened(tmp_path: Path, name: str) -> None:
    with pytest.raises(ImportRefusedError, match="a pickle can run code"):
        read_probes(tmp_path / name, site=SITE)
