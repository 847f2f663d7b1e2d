"""Reports that were rendered once are answered from the store, and only such as last."""

import json

import pytest
from fastapi.testclient import TestClient

from app.core.artifacts import ArtifactStore
from app.reports.kept import PROGRAM
from app.retention.layout import units
from app.retention.references import unreferred
from tests.integration.reports.conftest import Line
from tests.integration.reports.reading import rendered


@pytest.mark.parametrize("form", ["json", "md", "html"])
def test_a_report_is_rendered_once_and_kept(client: TestClient, judged: Line, form: str) -> None:
    identity, store = judged.evaluations["whole"], judged.world.store
    folder, path = f"evaluations/{identity}", f"/v1/evaluations/{identity}/report.{form}"
    old = f"{folder}/report-0123456789abcdef.{form}"
    store.write_bytes(old, b"of another release")
    first = client.get(path).content
    key = f"{folder}/report-{PROGRAM}.{form}"
    assert store.read_bytes(key) == first == rendered(judged.world.database, store, identity)[form]
    if store.exists(old):
        # It was kept before this test: another release's goes when this one's is written.
        store.delete_keys([key])
        assert client.get(path).content == first
    assert not store.exists(old)
    assert store.read_bytes(key) == first
    store.write_bytes(key, b"kept")
    assert client.get(path).content == b"kept"
    store.delete_keys([key])
    assert client.get(path).content == first


def test_a_store_that_takes_nothing_costs_no_report(
    client: TestClient, judged: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = judged.evaluations["whole"]
    key = f"evaluations/{identity}/report-{PROGRAM}.md"
    judged.world.store.delete_keys([key])

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(ArtifactStore, "write_bytes", full)
        answered = client.get(f"/v1/evaluations/{identity}/report.md")
    assert answered.status_code == 200
    assert not judged.world.store.exists(key)


def test_what_is_written_while_the_corpus_is_away_or_another_is_not_kept(
    client: TestClient, judged: Line
) -> None:
    identity, store = judged.evaluations["drifted"], judged.world.store
    key, path = f"evaluations/{identity}/report-{PROGRAM}.md", f"/v1/evaluations/{identity}/report"
    whole = client.get(f"{path}.md").content
    (documents,) = [one.key for one in store.objects("corpora") if one.key.endswith(".jsonl")]
    content = store.read_bytes(documents)
    store.delete_keys([key, documents])
    try:
        assert b"not in the artifact store any more" in client.get(f"{path}.md").content
        store.write_bytes(documents, content.replace(b"def ", b"DEF "))
        assert b"are not the registered ones" in client.get(f"{path}.md").content
        refused = client.get(f"/v1/evaluations/{identity}/passages")
        assert (refused.status_code, refused.json()["code"]) == (409, "documents_not_as_registered")
        assert not store.exists(key)
    finally:
        store.write_bytes(documents, content)
    assert client.get(f"{path}.md").content == whole
    assert store.read_bytes(key) == whole


def test_what_has_not_succeeded_is_not_kept(client: TestClient, judged: Line) -> None:
    identity = judged.evaluations["failed"]
    assert client.get(f"/v1/evaluations/{identity}/report.html").status_code == 200
    assert judged.world.store.objects(f"evaluations/{identity}") == []


def test_kept_reports_are_known_to_the_collector(client: TestClient, judged: Line) -> None:
    identity = judged.evaluations["whole"]
    for form in ("json", "md", "html"):
        client.get(f"/v1/evaluations/{identity}/report.{form}")
    found, unknown = units(judged.world.store.objects(f"evaluations/{identity}"))
    assert unknown == []
    assert [unit.kind for unit in found].count("report") == 3
    with judged.world.database.unit_of_work() as session:
        assert unreferred(session, found) == []


def test_passages_that_are_gone_are_told(judged: Line) -> None:
    identity, store = judged.evaluations["whole"], judged.world.store
    key = f"evaluations/{identity}/baseline.passages.json"
    kept = store.read_bytes(key)
    store.delete_keys([key])
    try:
        report = json.loads(rendered(judged.world.database, store, identity)["json"])
        assert all(not feature["passages"] for feature in report["features"])
        assert "no passages" in report["features"][0]["passages_missing"]
    finally:
        store.write_bytes(key, kept)
