"""Directions, probes and Neuronpedia's lists as definitions of features."""

import json
import struct
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

from app.core.clock import now
from app.core.ids import new_id
from app.imports import ImportRefusedError
from app.imports.catalog import Catalog, Listed, catalog
from app.imports.directions import read_directions
from app.imports.neuronpedia import Entry, advice, map_list, read_list
from app.imports.probes import read_probes
from app.registry.definitions import Direction, LinearProbe
from app.registry.schemas.dictionaries import DictionaryOut
from workers.features.readouts import weights
from workers.imports import probes_of, save_probes
from workers.imports.release import describe_release

SITE = "blocks.1.hook_resid_post"
RANDOM = np.random.default_rng(3)


def value(definition: dict[str, Any], x: np.ndarray) -> np.ndarray:
    """What a worker would measure."""
    kind = {"direction": Direction, "linear_probe": LinearProbe}[definition["kind"]]
    weight, bias = weights(kind(**definition))
    return x @ weight + bias


# Directions


def test_directions_are_named_by_their_keys(tmp_path: Path) -> None:
    vectors = {"anger": RANDOM.normal(size=8), "joy / calm": RANDOM.normal(size=(1, 8))}
    center = RANDOM.normal(size=8)
    path = tmp_path / "v.safetensors"
    save_file({**vectors, "anger.center": center}, path, metadata={"layer": "2"})
    found = read_directions(path, concepts={"anger": "angry"})
    first, second = found.features
    assert (first["name"], first["concept"]) == ("anger", "angry")
    assert second["name"] == "joy-calm"
    assert first["site"] == "blocks.2.hook_resid_post"
    assert "tensor 'joy / calm' is named 'joy-calm'" in found.notes
    x = RANDOM.normal(size=(5, 8))
    v = vectors["anger"]
    np.testing.assert_allclose(value(first, x), (x - center) @ v / np.linalg.norm(v))
    as_is = read_directions(path, scaling="as-is").features[0]
    assert as_is["kind"] == "linear_probe"
    np.testing.assert_allclose(value(as_is, x), (x - center) @ v)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_numbers_are_read_as_numpy_reads_them(tmp_path: Path, dtype: str) -> None:
    vector = RANDOM.normal(size=33).astype(dtype)
    save_file({"v": vector}, tmp_path / "v.safetensors")
    (found,) = read_directions(tmp_path / "v.safetensors", site=SITE).features
    assert found["vector"] == vector.astype(np.float64).tolist()


def test_bfloat16_is_read_as_torch_reads_it(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file as save_torch

    vector = torch.randn(9).bfloat16()
    save_torch({"v": vector}, tmp_path / "v.safetensors")
    (found,) = read_directions(tmp_path / "v.safetensors", site=SITE).features
    assert found["vector"] == vector.double().tolist()


def test_each_tensor_may_have_its_own_site(tmp_path: Path) -> None:
    own = {"a": {"site": "blocks.0.hook_mlp_out", "concept": "c", "threshold": 0.5}}
    metadata = {"site": SITE, "scaling": "as-is", "features": json.dumps(own)}
    path = tmp_path / "v.safetensors"
    save_file({"a": np.ones(4), "b": np.ones(4)}, path, metadata=metadata)
    first, second = sorted(read_directions(path).features, key=lambda one: str(one["name"]))
    placed = (first["site"], first["concept"], first["threshold"])
    assert placed == ("blocks.0.hook_mlp_out", "c", 0.5)
    assert (second["site"], second["kind"]) == (SITE, "linear_probe")


@pytest.mark.parametrize(
    ("tensors", "metadata", "options", "said"),
    [
        ({"v": np.ones((2, 3))}, {}, {"site": SITE}, "shape [2, 3]; a direction is one vector"),
        ({"v": np.zeros(3)}, {}, {"site": SITE}, "is all zeros"),
        ({"v": np.array([1, np.nan])}, {}, {"site": SITE}, "entry 1 is nan"),
        ({"v": np.ones(3, dtype=np.int64)}, {}, {"site": SITE}, "has type I64; save it as float32"),
        ({"v": np.ones(3)}, {}, {}, "nothing says where it reads; give --site"),
        ({"v": np.ones(3)}, {"site": "here!"}, {}, "'here!' is no site"),
        ({"v": np.ones(3)}, {"site": "a.b"}, {"site": SITE}, "the file says 'a.b', but"),
        ({"v": np.ones(3)}, {"layer": "-1"}, {}, "layer is '-1'"),
        ({"v": np.ones(3)}, {"layer": "1", "site": "a.b"}, {}, "keep one"),
        ({"v": np.ones(3)}, {"scaling": "big"}, {"site": SITE}, "'unit' or 'as-is'"),
        ({"v": np.ones(3)}, {"features": "{"}, {"site": SITE}, "metadata 'features' is not JSON"),
        ({"v": np.ones(3)}, {"features": '{"v": {"x": 1}}'}, {"site": SITE}, "unknown 'x'"),
        ({"v": np.ones(3)}, {"features": '{"w": {}}'}, {"site": SITE}, "no direction 'w'"),
        ({"v": np.ones(3)}, {}, {"site": SITE, "concepts": {"w": "c"}}, "no direction 'w'"),
        ({"v/": np.ones(3), "v": np.ones(3)}, {}, {"site": SITE}, "would both be named 'v'"),
        ({"/": np.ones(3)}, {}, {"site": SITE}, "no letter or digit"),
        ({"v": np.ones(3), "v.center": np.ones(2)}, {}, {"site": SITE}, "has 2 entries"),
    ],
)
def test_what_is_no_direction_is_refused(
    tmp_path: Path, tensors: Any, metadata: Any, options: Any, said: str
) -> None:
    path = tmp_path / "v.safetensors"
    save_file(tensors, path, metadata=metadata)
    with pytest.raises(ImportRefusedError) as caught:
        read_directions(path, **options)
    assert said in caught.value.detail


def test_a_damaged_file_of_tensors_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "v.safetensors"
    save_file({"v": np.ones(100)}, path)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ImportRefusedError, match="truncated or padded"):
        read_directions(path, site=SITE)
    raw = b'{"v": {"dtype": "F64", "shape": [1], "data_offsets": [0, 8]}, "__metadata__": 3}'
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + bytes(8))
    with pytest.raises(ImportRefusedError, match="metadata that is no JSON object"):
        read_directions(path, site=SITE)
    path.write_bytes(b"\x80\x04\x95junk")
    with pytest.raises(ImportRefusedError, match=r"is no whole \.safetensors"):
        read_directions(path, site=SITE)
    with pytest.raises(ImportRefusedError, match="cannot be read: No such file"):
        read_directions(tmp_path / "none.safetensors", site=SITE)


# Logistic regressions


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


# Neuronpedia


def neuron(layer: str, index: str, description: str = "", explained: str = "") -> dict[str, Any]:
    """One of `neurons` as `POST /api/list/get` answers."""
    return {
        "modelId": "gpt2-small",
        "layer": layer,
        "index": index,
        "listId": "cl",
        "userId": "u",
        "addedAt": "2025-01-01T00:00:00.000Z",
        "description": description or None,
        "neuron": {
            "modelId": "gpt2-small",
            "layer": layer,
            "index": index,
            "sourceSetName": layer.partition("-")[2] or None,
            "explanations": [{"description": explained}] if explained else [],
            "activations": [],
        },
    }


def dictionary(name: str, **values: Any) -> DictionaryOut:
    empty: dict[str, Any] = dict.fromkeys(
        ("description", "source", "release", "sae_id", "digest", "architecture", "d_in", "d_sae")
    )
    return DictionaryOut(
        **{"id": new_id(), "name": name, "site": SITE, "created_at": now(), **empty, **values}
    )


RELEASED = {"release": "gpt2-small-res-jb", "sae_id": "blocks.6.hook_resid_pre"}


def test_a_list_is_read_as_the_site_gives_it(tmp_path: Path) -> None:
    body = {
        "id": "cl",
        "name": "my list",
        "activations": [],
        "neurons": [
            neuron("6-res-jb", "650", "mine", "theirs"),
            neuron("6-res-jb", "17", "", "theirs"),
            neuron("6-res-jb", "650"),
            neuron("3", "9"),
        ],
    }
    path = tmp_path / "list.json"
    path.write_text(json.dumps(body))
    found = read_list(path)
    assert found.name == "my list"
    assert [(entry.id, entry.description) for entry in found.entries] == [
        ("gpt2-small/6-res-jb/650", "mine"),
        ("gpt2-small/6-res-jb/17", "theirs"),
        ("gpt2-small/3/9", None),
    ]
    assert found.notes == [
        "gpt2-small/6-res-jb/650 stands there twice (entries 1 and 3); it is taken once"
    ]
    mapped = map_list(
        found.entries,
        [dictionary("six", d_sae=1000, **RELEASED)],
        catalog(),
        concepts={"6-res-jb.17": "seventeen", "gpt2-small/3/9": "nine"},
    )
    assert mapped.missing == {}
    assert mapped.features == [
        {
            "kind": "sae_latent",
            "name": "6-res-jb.650",
            "dictionary": "six",
            "index": 650,
            "description": "mine (Neuronpedia gpt2-small/6-res-jb/650)",
        },
        {
            "kind": "sae_latent",
            "name": "6-res-jb.17",
            "dictionary": "six",
            "index": 17,
            "concept": "seventeen",
            "description": "theirs (Neuronpedia gpt2-small/6-res-jb/17)",
        },
        {
            "kind": "neuron",
            "name": "3.9",
            "site": "blocks.3.mlp.hook_post",
            "index": 9,
            "concept": "nine",
            "description": "Neuronpedia gpt2-small/3/9",
        },
    ]


@pytest.mark.parametrize(
    "body",
    [
        ["gpt2-small/6-res-jb/650", "https://www.neuronpedia.org/gpt2-small/6-res-jb/17"],
        [
            {"modelId": "gpt2-small", "layer": "6-res-jb", "index": "650"},
            {"model": "gpt2-small", "source": "6-res-jb", "index": 17},
        ],
        {
            "name": "n",
            "features": [
                {"modelId": "gpt2-small", "layer": "6-res-jb", "index": 650, "description": "d"},
                {"modelId": "gpt2-small", "layer": "6-res-jb", "index": 17},
            ],
        },
    ],
)
def test_other_forms_of_a_list(tmp_path: Path, body: Any) -> None:
    path = tmp_path / "list.json"
    path.write_text(json.dumps(body))
    assert [entry.id for entry in read_list(path).entries] == [
        "gpt2-small/6-res-jb/650",
        "gpt2-small/6-res-jb/17",
    ]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{", "is not JSON"),
        ("{}", "holds no list of features"),
        ("[]", "the list is empty"),
        ("[3]", "entry 1: is 3, neither an object nor an id"),
        ('["a/b"]', "entry 1: 'a/b' is no id of a feature"),
        ('[{"layer": "6-res-jb", "index": 1}]', "entry 1: modelId is None"),
        ('["m/1-x/3", {"modelId": "m", "layer": "1-x", "index": "-1"}]', "entry 2: index is '-1'"),
        ('[{"modelId": "m", "layer": "1-x", "index": true}]', "index is True"),
        ('["m/1-x/1234567890123"]', "index is '1234567890123'"),
    ],
)
def test_what_is_no_list_is_refused(tmp_path: Path, body: str, said: str) -> None:
    path = tmp_path / "list.json"
    path.write_text(body)
    with pytest.raises(ImportRefusedError) as caught:
        read_list(path)
    assert said in caught.value.detail


def test_a_source_that_is_not_registered_is_reported_with_what_to_do() -> None:
    entries = [Entry(1, "gpt2-small", "6-res-jb", 5, None), Entry(2, "m", "1-own", 7, None)]
    mapped = map_list(entries, [dictionary("own")], catalog(), {"m/1-own": "own"})
    assert [one["name"] for one in mapped.features] == ["m.1-own.7"]
    assert mapped.missing == {"gpt2-small/6-res-jb": [entries[0]]}
    assert advice("gpt2-small/6-res-jb", catalog()) == (
        "featuredrift features import saelens NAME gpt2-small-res-jb blocks.6.hook_resid_pre"
    )
    assert advice("m/x", catalog()) == "register its dictionary, and say --dictionary m/x=NAME"


def test_two_ids_of_one_name_are_refused() -> None:
    entries = [Entry(1, "m", "1 x", 5, None), Entry(2, "m", "1-x", 5, None)]
    given = {"m/1 x": "own", "m/1-x": "own"}
    with pytest.raises(ImportRefusedError, match=r"would be named '1-x\.5', as m/1 x/5 is"):
        map_list(entries, [dictionary("own")], catalog(), given)


def test_a_mapping_that_does_not_fit_is_refused() -> None:
    entries = [Entry(1, "gpt2-small", "6-res-jb", 50, None)]
    two = [dictionary("a", **RELEASED), dictionary("b", **RELEASED)]
    source = "gpt2-small/6-res-jb"
    for given, concepts, dictionaries, said in (
        ({"x/y": "a"}, {}, two, "the list has no such source; it has gpt2-small/6-res-jb"),
        ({source: "c"}, {}, two, "there is no dictionary 'c'"),
        ({}, {}, two, "the dictionaries a, b all are this source"),
        ({source: "a"}, {"z": "c"}, two, "z: no feature that is imported has this name"),
        ({source: "s"}, {}, [dictionary("s", d_sae=50)], "has 50 latents (0 to 49)"),
    ):
        with pytest.raises(ImportRefusedError) as caught:
            map_list(entries, dictionaries, catalog(), given, concepts)
        assert said in caught.value.detail


# SAELens's directory


def test_the_directory_is_that_of_saelens() -> None:
    from sae_lens.loading.pretrained_saes_directory import get_pretrained_saes_directory

    theirs = {
        (release, sae_id, lookup.repo_id, folder, lookup.neuronpedia_id[sae_id])
        for release, lookup in get_pretrained_saes_directory().items()
        for sae_id, folder in lookup.saes_map.items()
    }
    ours = {
        (one.release, one.sae_id, one.repository, one.folder, one.neuronpedia)
        for saes in catalog().releases.values()
        for one in saes.values()
    }
    assert ours == theirs


def test_a_slip_in_a_release_is_answered_with_the_nearest() -> None:
    listed = Listed("res-jb", "blocks.6", "o/r", "f", "m", None)
    known = Catalog({"res-jb": {"blocks.6": listed}}, {})
    assert known.find("res-jb", "blocks.6") == listed
    assert known.find("owner/repository", "folder") is None
    with pytest.raises(ImportRefusedError, match=r"did you mean res-jb\?"):
        known.find("res-jd", "blocks.6")
    with pytest.raises(ImportRefusedError, match=r"the nearest are blocks\.6"):
        known.find("res-jb", "block.6")


def test_what_is_in_another_format_is_read_by_saelens_itself() -> None:
    found = describe_release("gemma-scope-2b-pt-res-canonical", "layer_20/width_16k/canonical")
    assert found == {
        "repository": "google/gemma-scope-2b-pt-res",
        "folder": "layer_20/width_16k/average_l0_71",
        "site": "blocks.20.hook_resid_post",
        "head": None,
        "architecture": "jumprelu",
        "d_in": 2304,
        "d_sae": 16384,
    }
