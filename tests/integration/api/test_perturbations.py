"""Corpora registered with built-in variants."""

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.core.artifacts import ArtifactStore
from app.registry.documents import parse_jsonl
from app.settings import Settings
from tests.support.api import post

TEXT = "Ring the office at 555-0100 before nine in the morning."
DOCUMENTS: list[dict[str, Any]] = [
    {"id": "a", "text": TEXT, "group": "g", "labels": {"phone": [[19, 27]]}},
    {"id": "b", "text": "Call us there.", "variant_of": "a", "perturbation": "paraphrase"},
    {"id": "c", "text": "def f(count):\n    return count + 1\n", "labels": {"phone": False}},
]
ALL = ["case", "whitespace", "typos", "identifiers", "prefix", "suffix"]


def test_a_corpus_holds_its_variants(client: TestClient, settings: Settings) -> None:
    body = {"name": "probes", "documents": DOCUMENTS, "perturbations": ALL}
    corpus = post(client, "/v1/corpora", body)
    assert corpus["perturbations"] == {
        "case": {"documents": 2, "left_out": 0},
        "identifiers": {"documents": 1, "left_out": 1},
        "paraphrase": {"documents": 1, "left_out": 1},
        "prefix": {"documents": 2, "left_out": 0},
        "suffix": {"documents": 2, "left_out": 0},
        "typos": {"documents": 2, "left_out": 0},
        "whitespace": {"documents": 2, "left_out": 0},
    }
    assert (corpus["documents"], corpus["groups"]) == (14, 2)
    key = f"corpora/{corpus['digest']}/documents.jsonl"
    documents = parse_jsonl(ArtifactStore(settings.artifacts).read_bytes(key))
    labelled = {
        document.id: document.text[slice(*document.labels["phone"][0])]
        for document in documents
        if document.labels.get("phone")
    }
    assert set(labelled) == {"a", *(f"a~{name}" for name in ALL if name != "identifiers")}
    assert set(labelled.values()) == {"555-0100"}

    # The same again is the same; without variants it is another corpus.
    assert post(client, "/v1/corpora", body, 200) == corpus
    assert client.get("/v1/corpora/probes").json() == corpus
    plain = client.post("/v1/corpora", json={"name": "probes", "documents": DOCUMENTS})
    assert (plain.status_code, plain.json()["field"]) == (409, "digest")


def test_json_lines_ask_in_the_query(client: TestClient) -> None:
    lines = "\n".join(json.dumps(document) for document in DOCUMENTS)
    headers = {"Content-Type": "application/jsonl"}
    query = {"name": "lines", "perturbations": ["suffix", "case"]}
    answer = client.post("/v1/corpora", params=query, content=lines, headers=headers)
    assert answer.status_code == 201, answer.text
    assert answer.json()["documents"] == 7
    body = {"name": "json", "documents": DOCUMENTS, "perturbations": ["case", "suffix"]}
    assert post(client, "/v1/corpora", body)["digest"] == answer.json()["digest"]


@pytest.mark.parametrize(
    ("document", "perturbations", "code", "words"),
    [
        ({"id": "a", "text": "123 456"}, ["case"], "perturbation_without_effect", "'case'"),
        ({"id": "a", "text": TEXT}, ["identifiers"], "perturbation_without_effect", "Python"),
        ({"id": "a" * 499, "text": TEXT}, ["case"], "invalid_corpus", "500 characters"),
        ({"id": "a", "text": TEXT}, ["rhyme"], "invalid_input", "case"),
    ],
)
def test_what_cannot_be_perturbed_is_named(
    client: TestClient, document: dict[str, Any], perturbations: list[str], code: str, words: str
) -> None:
    body = {"name": "probes", "documents": [document], "perturbations": perturbations}
    answer = client.post("/v1/corpora", json=body)
    assert answer.status_code == 422
    assert answer.json()["code"] == code
    assert words in answer.json()["detail"]
    assert client.get("/v1/corpora/probes").status_code == 404


def test_variants_may_not_make_a_corpus_too_large(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.registry.service.corpora.MAX_FILE_BYTES", 500)
    body = {"name": "probes", "documents": DOCUMENTS}
    refused = client.post("/v1/corpora", json={**body, "perturbations": ["prefix", "suffix"]})
    assert (refused.status_code, refused.json()["code"]) == (422, "corpus_too_large")
    post(client, "/v1/corpora", body)
