"""Every bad input that can be seen without weights is refused at registration, by name."""

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.support.api import (
    DOCUMENTS,
    SITE,
    make_checkpoint,
    make_dictionary,
    monitor_body,
    write_safetensors,
)

CHECKPOINTS = "/v1/models/bot/checkpoints"


def refuse(client: TestClient, path: str, body: Any, code: str, **problem: Any) -> str:
    """POST that must be refused with this code and these members; the detail."""
    response = client.post(path, json=body)
    assert response.status_code == problem.pop("status", 422), response.text
    answer = response.json()
    assert answer["code"] == code, answer
    assert {key: answer.get(key) for key in problem} == problem
    detail: str = answer["detail"]
    return detail


def test_sources_outside_the_roots(shared_client: TestClient, root: Path, tmp_path: Path) -> None:
    outside = make_checkpoint(tmp_path / "outside")
    link = root / "link"
    link.symlink_to(tmp_path / "outside")
    inside = Path(make_checkpoint(root / "half"))
    (inside / "model.safetensors").unlink()
    (inside / "model.safetensors").symlink_to(tmp_path / "outside" / "model.safetensors")
    for source in (outside, str(link), f"{root}/../outside", str(inside), "/", f"file://{outside}"):
        body = {"name": "c", "source": source}
        refuse(shared_client, CHECKPOINTS, body, "source_outside_roots", field="source")
    assert shared_client.get(f"{CHECKPOINTS}/c").status_code == 404


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("relative/path/of/many", "source_unsupported"),
        ("ftp://host/x", "source_unsupported"),
        ("http://[::1", "source_unsupported"),
        ("owner/name", "hub_not_allowed"),
        ("hf://owner/name", "hub_not_allowed"),
        ("/{}".format("x" * 1500), "source_outside_roots"),
        ("", "invalid_input"),
    ],
)
def test_sources_that_are_none(shared_client: TestClient, source: str, code: str) -> None:
    refuse(shared_client, CHECKPOINTS, {"name": "c", "source": source}, code, field="source")


def test_a_link_that_leads_to_itself(shared_client: TestClient, root: Path) -> None:
    (root / "loop").symlink_to(root / "loop")
    response = shared_client.post(CHECKPOINTS, json={"name": "c", "source": str(root / "loop")})
    assert response.status_code == 422
    assert response.json()["code"] in ("source_missing", "source_unreadable")


def test_checkpoints_whose_files_cannot_be_used(shared_client: TestClient, root: Path) -> None:
    def refused(name: str, code: str) -> str:
        body = {"name": name, "source": str(root / name)}
        return refuse(shared_client, CHECKPOINTS, body, code, field="source")

    refused("absent", "source_missing")
    (root / "empty").mkdir()
    refused("empty", "config_missing")
    weights = Path(make_checkpoint(root / "truncated")) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    assert "model.safetensors" in refused("truncated", "weights_damaged")
    pickled = Path(make_checkpoint(root / "pickled"))
    (pickled / "model.safetensors").unlink()
    (pickled / "pytorch_model.bin").write_bytes(b"\x80")
    assert "pytorch_model.bin" in refused("pickled", "pickle_refused")
    remote = Path(make_checkpoint(root / "remote"))
    (remote / "config.json").write_text('{"auto_map": {"AutoModel": "code.Model"}}')
    refused("remote", "remote_code_refused")
    sharded = Path(make_checkpoint(root / "sharded"))
    index = {"weight_map": {"a": "model.safetensors", "b": "model-00002.safetensors"}}
    (sharded / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "model-00002.safetensors" in refused("sharded", "weights_missing")
    broken = Path(make_checkpoint(root / "broken"))
    (broken / "config.json").write_text("{")
    refused("broken", "config_invalid")
    untokenized = Path(make_checkpoint(root / "untokenized"))
    (untokenized / "tokenizer.json").unlink()
    refused("untokenized", "tokenizer_missing")


def test_checkpoints_that_refer_to_what_is_not_there(shared_client: TestClient, root: Path) -> None:
    source = make_checkpoint(root / "orphan")
    body = {"name": "c", "source": source, "parent": "nobody"}
    refuse(shared_client, CHECKPOINTS, body, "unknown_checkpoint", field="parent", value="nobody")
    path = "/v1/models/ghost/checkpoints"
    refuse(shared_client, path, {"name": "c", "source": source}, "unknown_model", status=404)
    body = {"name": "c", "source": source, "digest": "abc"}
    refuse(shared_client, CHECKPOINTS, body, "invalid_input", field="digest", value="abc")


def test_an_alias_of_what_is_not_there(shared_client: TestClient) -> None:
    response = shared_client.put("/v1/models/bot/aliases/a", json={"checkpoint": "nobody"})
    assert (response.status_code, response.json()["field"]) == (422, "checkpoint")


def test_the_same_name_with_other_content(shared_client: TestClient, root: Path) -> None:
    taken = {"code": "already_registered", "status": 409}
    body = {"name": "bot", "description": "another"}
    refuse(shared_client, "/v1/models", body, field="description", **taken)
    other = make_checkpoint(root / "other")
    body = {"name": "base", "source": other}
    detail = refuse(shared_client, CHECKPOINTS, body, field="source", value=other, **taken)
    assert "another source" in detail
    corpus = {"name": "probes", "documents": DOCUMENTS[:1]}
    refuse(shared_client, "/v1/corpora", corpus, field="digest", **taken)
    source = make_dictionary(root / "wider", d_sae=64)
    dictionary = {"name": "layer-1", "source": source}
    refuse(shared_client, "/v1/dictionaries", dictionary, field="digest", **taken)
    monitor = monitor_body(policy={"q": 0.1})
    refuse(shared_client, "/v1/monitors", monitor, field="policy", **taken)


def test_dictionaries_whose_files_cannot_be_used(
    shared_client: TestClient, root: Path, tmp_path: Path
) -> None:
    def refused(code: str, source: Path, **problem: Any) -> None:
        body = {"name": "d", "source": str(source)}
        refuse(shared_client, "/v1/dictionaries", body, code, **problem)

    refused("source_outside_roots", Path(make_dictionary(tmp_path / "outside")))
    refused("source_missing", root / "no-dictionary")
    truncated = Path(make_dictionary(root / "truncated-sae"))
    weights = truncated / "sae_weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    refused("weights_damaged", truncated)
    inconsistent = Path(make_dictionary(root / "inconsistent-sae"))
    write_safetensors(inconsistent / "sae_weights.safetensors", {"W_dec": [31, 8]})
    refused("dictionary_inconsistent", inconsistent)
    for name, d_in in (("wrong-width", 9), ("absurd-width", 10**12)):
        folder = Path(make_dictionary(root / name))
        config = json.loads((folder / "cfg.json").read_text())
        (folder / "cfg.json").write_text(json.dumps({**config, "d_in": d_in}))
        refused("config_invalid" if d_in > 9 else "dictionary_inconsistent", folder)
    nameless = Path(make_dictionary(root / "nameless-sae"))
    config = json.loads((nameless / "cfg.json").read_text())
    (nameless / "cfg.json").write_text(json.dumps({**config, "metadata": {}}))
    refused("site_missing", nameless, field="site")
    body = {"name": "d", "release": "gemma-scope", "sae_id": "layer_1"}
    refuse(shared_client, "/v1/dictionaries", body, "hub_not_allowed", field="release")


@pytest.mark.parametrize(
    ("feature", "code", "field"),
    [
        ({"site": "blocks 3"}, "invalid_input", "features.0.neuron.site"),
        ({"site": "blocks.1.hook_resid_post", "index": -1}, "invalid_input", None),
        ({"kind": "linear_probe", "weights": [1.0] * 7}, "width_mismatch", "features.0.weights"),
        ({"kind": "linear_probe", "weights": []}, "invalid_input", None),
        ({"kind": "direction", "vector": [0.0] * 8}, "invalid_input", None),
        ({"kind": "unheard"}, "invalid_input", "features.0"),
        ({"name": "latent"}, "invalid_input", "features"),
    ],
)
def test_features_that_do_not_fit(
    shared_client: TestClient, feature: dict[str, Any], code: str, field: str | None
) -> None:
    first: dict[str, Any] = {"kind": "neuron", "name": "f", "site": SITE, **feature}
    if first["kind"] == "neuron":
        first.setdefault("index", 0)
    latent = {"kind": "sae_latent", "name": "latent", "dictionary": "layer-1", "index": 0}
    order = [first, latent]
    if code == "width_mismatch":  # whoever comes second is named
        order, field = [latent, first], "features.1.weights"
    body = {"name": "s", "features": order}
    response = shared_client.post("/v1/feature-sets", json=body)
    assert (response.status_code, response.json()["code"]) == (422, code)
    if field is not None:
        assert response.json()["field"] == field


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_numbers_that_are_not_finite(shared_client: TestClient, number: str) -> None:
    content = (
        '{"name": "s", "features": [{"kind": "direction", "name": "d", '
        f'"site": "{SITE}", "vector": [1.0, {number}]}}]}}'
    )
    headers = {"Content-Type": "application/json"}
    response = shared_client.post("/v1/feature-sets", content=content, headers=headers)
    assert (response.status_code, response.json()["code"]) == (422, "invalid_input")
    assert "finite" in response.json()["detail"]


@pytest.mark.parametrize(
    ("features", "code"),
    [
        ([{"index": 32}], "index_out_of_range"),
        ([{"dictionary": "nobody"}], "unknown_dictionary"),
        ([{}, {}], "invalid_input"),
        ([], "invalid_input"),
    ],
)
def test_latents_that_do_not_fit(
    shared_client: TestClient, features: list[dict[str, Any]], code: str
) -> None:
    latent = {"kind": "sae_latent", "name": "l", "dictionary": "layer-1", "index": 0}
    body = {"name": "s", "features": [{**latent, **feature} for feature in features]}
    refuse(shared_client, "/v1/feature-sets", body, code)


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"model": "nobody"}, "unknown_model", "model"),
        ({"corpus": "nobody"}, "unknown_corpus", "corpus"),
        ({"feature_set": {"name": "nobody"}}, "unknown_feature_set", "feature_set"),
        (
            {"feature_set": {"name": "set", "version": 9}},
            "unknown_feature_set_version",
            "feature_set",
        ),
        ({"baseline": {"alias": "nobody"}}, "baseline_unresolved", "baseline.alias"),
        ({"baseline": {"checkpoint": "nobody"}}, "baseline_unresolved", "baseline.checkpoint"),
        ({"baseline": {}}, "invalid_input", "baseline"),
        ({"dictionary": "layer-1"}, "invalid_input", ""),
        ({"feature_set": None, "dictionary": "nobody"}, "unknown_dictionary", "dictionary"),
        ({"watchlist": ["nobody"]}, "unknown_feature", "watchlist"),
        (
            {"feature_set": None, "dictionary": "layer-1", "watchlist": ["latent-32"]},
            "unknown_feature",
            "watchlist",
        ),
        ({"watchlist": [f"f{i}" for i in range(201)]}, "invalid_input", "watchlist"),
        ({"policy": {"margins": {"rate": 0}}}, "invalid_input", "policy.margins.rate"),
        ({"policy": {"margins": {"identity": 1}}}, "invalid_input", "policy.margins.identity"),
        (
            {"policy": {"margins": {"identity_dense": 1}}},
            "invalid_input",
            "policy.margins.identity_dense",
        ),
        ({"policy": {"margins": {"concept": 1}}}, "invalid_input", "policy.margins.concept"),
        ({"policy": {"q": 2}}, "invalid_input", "policy.q"),
        ({"policy": {"gate": {"max_drift": 0}}}, "invalid_input", "policy.gate.max_drift"),
    ],
)
def test_monitors_of_what_is_not_there(
    shared_client: TestClient, changes: dict[str, Any], code: str, field: str
) -> None:
    body = monitor_body(name="m", **changes)
    refuse(shared_client, "/v1/monitors", body, code, field=field)


def test_evaluations_of_what_is_not_there(shared_client: TestClient) -> None:
    body = {"monitor": "nobody", "checkpoint": "base"}
    refuse(shared_client, "/v1/evaluations", body, "unknown_monitor", field="monitor")
    body = {"monitor": "watch", "checkpoint": "nobody"}
    refuse(shared_client, "/v1/evaluations", body, "unknown_checkpoint", field="checkpoint")


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b'{"id": "a", "text": "x"}\n{"id": "b", "text": ', "line 2"),
        (b'{"id": "a", "text": "x"}\n\xff', "line 2"),
        (b'{"id": "a", "text": "x"}\n{"id": "b", "text": ""}', "line 2"),
        (b'{"id": "a", "text": "x", "labels": {"c": [[0, 9]]}}', "line 1"),
        (b"", "documents"),
    ],
)
def test_json_lines_with_a_fault_name_the_line(
    shared_client: TestClient, body: bytes, where: str
) -> None:
    response = shared_client.post(
        "/v1/corpora?name=c", content=body, headers={"Content-Type": "application/x-ndjson"}
    )
    assert (response.status_code, response.json()["code"]) == (422, "invalid_corpus")
    assert response.json()["field"] == where
    assert shared_client.get("/v1/corpora/c").status_code == 404


def test_corpora_by_uri(shared_client: TestClient, root: Path, tmp_path: Path) -> None:
    file = root / "documents.jsonl"
    file.write_text("\n".join(json.dumps(document) for document in DOCUMENTS))
    body = {"name": "by-uri", "uri": f"file://{file}"}
    created = shared_client.post("/v1/corpora", json=body)
    probes = shared_client.get("/v1/corpora/probes").json()
    assert created.json()["digest"] == probes["digest"]  # the same documents
    found = shared_client.get(f"/v1/corpora?digest={probes['digest']}").json()["items"]
    assert [corpus["name"] for corpus in found] == ["by-uri", "probes"]
    (tmp_path / "documents.jsonl").write_text("{}")
    for uri, code in (
        (f"{tmp_path}/documents.jsonl", "source_outside_roots"),
        (f"{root}/../x", "source_outside_roots"),
        (f"{root}/absent", "source_missing"),
        ("s3://bucket/documents.jsonl", "source_unsupported"),
    ):
        refuse(shared_client, "/v1/corpora", {"name": "c", "uri": uri}, code)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "c"}, ""),
        ({"name": "c", "documents": [], "uri": "/x"}, ""),
        ({"name": "c", "documents": []}, "documents"),
        ({"name": "c", "documents": [{"id": "a"}]}, "documents[0]"),
        ({"documents": DOCUMENTS}, "name"),
    ],
)
def test_corpora_in_json_with_a_fault(
    shared_client: TestClient, body: dict[str, Any], field: str
) -> None:
    response = shared_client.post("/v1/corpora", json=body)
    assert (response.status_code, response.json()["field"]) == (422, field)


def test_corpora_of_another_type(shared_client: TestClient) -> None:
    headers = {"Content-Type": "text/csv"}
    response = shared_client.post("/v1/corpora?name=c", content=b"a,b", headers=headers)
    assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")
    headers = {"Content-Type": "application/jsonl"}
    response = shared_client.post("/v1/corpora", content=b"{}", headers=headers)
    assert (response.status_code, response.json()["field"]) == (422, "name")
