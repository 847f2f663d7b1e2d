"""From nothing to an accepted evaluation, by REST alone."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from app.core.artifacts import ArtifactStore
from app.core.database import Database
from app.evaluations.tables import Evaluation, OutboxMessage, Shard
from app.registry.service import models
from app.settings import Settings
from tests.support.api import DOCUMENTS, FEATURES, make_checkpoint, make_dictionary


def test_a_checkpoint_post_starts_the_monitors_evaluations(
    client: TestClient,
    settings: Settings,
    database: Database,
) -> None:
    root = settings.allowed_roots[0]
    checkpoint_source = make_checkpoint(root / "base")
    dictionary_source = make_dictionary(root / "sae")
    assert client.post("/v1/models", json={"name": "bot"}).status_code == 201
    first = client.post(
        "/v1/models/bot/checkpoints", json={"name": "base", "source": checkpoint_source}
    )
    assert first.status_code == 201, first.text
    assert first.headers["Location"] == "/v1/models/bot/checkpoints/base"
    assert first.json()["evaluations"] == []
    alias = client.put("/v1/models/bot/aliases/baseline", json={"checkpoint": "base"})
    assert (alias.status_code, alias.headers["ETag"]) == (201, '"1"')

    lines = "\n".join(json.dumps(document) for document in DOCUMENTS)
    corpus = client.post(
        "/v1/corpora?name=probes",
        content=lines,
        headers={"Content-Type": "application/jsonl"},
    )
    assert corpus.status_code == 201, corpus.text
    assert corpus.json()["concepts"] == {"number": {"documents": 2, "spans": 3}}
    stored = ArtifactStore(settings.artifacts).read_bytes(
        f"corpora/{corpus.json()['digest']}/documents.jsonl"
    )
    assert stored.count(b"\n") == 2

    dictionary = client.post(
        "/v1/dictionaries", json={"name": "layer-1", "source": dictionary_source}
    )
    assert dictionary.status_code == 201, dictionary.text
    assert dictionary.json()["d_sae"] == 32
    assert dictionary.json()["site"] == "blocks.1.hook_resid_post"

    features = client.post("/v1/feature-sets", json={"name": "set", "features": FEATURES})
    assert features.status_code == 201, features.text
    assert [f["name"] for f in features.json()["features"]] == ["number", "up", "both"]

    monitor = client.post(
        "/v1/monitors",
        json={
            "name": "watch",
            "model": "bot",
            "corpus": "probes",
            "feature_set": {"name": "set"},
            "baseline": {"alias": "baseline"},
            "watchlist": ["number"],
        },
    )
    assert monitor.status_code == 201, monitor.text
    assert monitor.json()["feature_set"] == {"name": "set", "version": 1}

    candidate = make_checkpoint(root / "next")
    accepted = client.post("/v1/models/bot/checkpoints", json={"name": "next", "source": candidate})
    assert accepted.status_code == 202, accepted.text
    (evaluation_id,) = accepted.json()["evaluations"]
    assert accepted.headers["Location"] == f"/v1/evaluations/{evaluation_id}"

    evaluation = client.get(accepted.headers["Location"]).json()
    assert evaluation["state"] == "queued"
    assert evaluation["progress"] == {"shards_done": 0, "shards_total": 1}
    assert (evaluation["baseline"], evaluation["previous"]) == ("base", "base")

    with database.unit_of_work() as session:
        row = session.scalars(select(Evaluation)).one()
        shard = session.scalars(select(Shard)).one()
        assert (shard.kind, shard.evaluation_id) == ("plan", row.id)
        assert session.scalars(select(OutboxMessage.shard_id)).all() == [shard.id]

    again = client.post("/v1/models/bot/checkpoints", json={"name": "next", "source": candidate})
    assert again.status_code == 200
    assert again.json()["evaluations"] == [evaluation_id]


def test_files_that_take_their_time_hold_nobody_else_up(
    client: TestClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = {
        name: make_checkpoint(settings.allowed_roots[0] / name) for name in ("slow", "quick")
    }
    client.post("/v1/models", json={"name": "bot"})
    reading, done = threading.Event(), threading.Event()

    def inspect(source: str, *_: object, **__: object) -> None:
        if source == sources["slow"]:
            reading.set()
            assert done.wait(30)

    def register(name: str) -> int:
        body = {"name": name, "source": sources[name]}
        return client.post("/v1/models/bot/checkpoints", json=body).status_code

    monkeypatch.setattr(models, "inspect_checkpoint_source", inspect)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(register, "slow")
        assert reading.wait(10)
        try:
            assert register("quick") == 201
        finally:
            done.set()
        assert slow.result(10) == 201
