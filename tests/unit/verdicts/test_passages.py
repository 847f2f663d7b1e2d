"""Passages are cut from the registered documents and from nothing else."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from app.core.artifacts import ArtifactStore
from app.core.digests import sha256_bytes
from app.core.errors import NotFoundError
from app.core.ids import new_id
from app.registry import stored
from app.registry.documents import parse_objects, to_jsonl
from app.registry.stored import DocumentsError, DocumentsUnavailableError
from app.registry.tables import Corpus
from app.verdicts.passages import read_passages
from app.verdicts.passages_schemas import PassageOut

TEXTS = ("call 555", "no number here", "write to ada")
KEY = "corpora/documents.jsonl"
EVALUATION = new_id()


def lines(*texts: str) -> bytes:
    return to_jsonl(parse_objects([{"id": f"d{i}", "text": text} for i, text in enumerate(texts)]))


def passage(document: int, *units: tuple[int, int]) -> dict[str, Any]:
    values = [[start, stop, 1.0, 2.0] for start, stop in units]
    return {"kind": "changed", "document": document, "peak": 0, "units": values}


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    store = ArtifactStore(f"file://{tmp_path}")
    store.write_bytes(KEY, lines(*TEXTS))
    kept = {"phone": [passage(0, (0, 4), (5, 8))], "address": [passage(2, (6, 8), (9, 12))]}
    store.write_bytes(f"evaluations/{EVALUATION}/baseline.passages.json", json.dumps(kept).encode())
    return store


@pytest.fixture
def corpus() -> Corpus:
    return Corpus(name="probes", digest=sha256_bytes(lines(*TEXTS)), artifact_key=KEY)


def shown(store: ArtifactStore, corpus: Corpus, *features: str) -> dict[str, list[PassageOut]]:
    found = read_passages(store, EVALUATION, corpus, "baseline", features)
    return {one.feature: one.passages for one in found}


def test_they_read_as_the_documents_do(store: ArtifactStore, corpus: Corpus) -> None:
    found = shown(store, corpus)
    assert [unit.text for unit in found["phone"][0].units] == ["call ", "555"]
    assert [unit.text for unit in found["address"][0].units] == ["to ", "ada"]
    assert (found["address"][0].document, found["address"][0].start) == ("d2", 6)
    assert shown(store, corpus, "address").keys() == {"address"}
    with pytest.raises(NotFoundError, match="no passages"):
        read_passages(store, EVALUATION, corpus, "previous")


@pytest.mark.parametrize(
    "other", [lines("another", *TEXTS[1:]), lines(TEXTS[0]), b"", b"no JSON"], ids=len
)
def test_nothing_is_shown_of_another_file(
    store: ArtifactStore, corpus: Corpus, other: bytes
) -> None:
    assert shown(store, corpus)
    store.write_bytes(KEY, other)
    with pytest.raises(DocumentsError, match="are not the registered ones") as refused:
        shown(store, corpus)
    assert refused.value.status == 409
    assert KEY in refused.value.detail
    assert corpus.digest in refused.value.detail
    store.write_bytes(KEY, lines(*TEXTS))
    assert shown(store, corpus)


def test_documents_that_are_gone_or_cannot_be_read_are_told(
    store: ArtifactStore, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(ArtifactStore, "local_path", away)
        with pytest.raises(DocumentsUnavailableError, match="PermissionError"):
            shown(store, corpus)
    store.delete_keys([KEY])
    with pytest.raises(DocumentsError, match="not in the artifact store any more"):
        shown(store, corpus)


def test_the_digest_is_worked_out_once_for_a_file_that_stays(
    store: ArtifactStore, corpus: Corpus
) -> None:
    shown(store, corpus)
    before = stored._digest.cache_info()
    shown(store, corpus)
    after = stored._digest.cache_info()
    assert (after.misses, after.hits) == (before.misses, before.hits + 1)
    # The same size, another time: it is looked at anew.
    os.utime(store.local_path(KEY), (1, 1))
    shown(store, corpus)
    assert stored._digest.cache_info().misses == after.misses + 1
