"""The same in a bucket, against a real S3 server speaking HTTP."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import boto3
import pytest
import s3fs
from moto.server import ThreadedMotoServer

from app.core.artifacts import ArtifactStore
from app.core.database import Database
from app.retention.rules import Rules
from tests.integration.retention.conftest import Line, key_of


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ArtifactStore]:
    """An empty store in a bucket."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    # fsspec keeps its clients, with the last test's address.
    s3fs.S3FileSystem.clear_instance_cache()
    bucket = boto3.resource("s3").create_bucket(Bucket="artifacts")
    yield ArtifactStore("s3://artifacts/deployment", tmp_path / "cache")
    bucket.objects.all().delete()  # moto keeps objects beyond its server
    server.stop()


def test_it_collects_in_a_bucket(line: Line, database: Database, store: ArtifactStore) -> None:
    for name in ("c0", "c1", "c2"):
        line.evaluate(name)
    line.policy(keep_last=1)
    cached = store.local_path(f"snapshots/{key_of('c0')}/manifest.json")
    neighbour = f"snapshots/{key_of('c0')}x/manifest.json"
    store.write_bytes(neighbour, b"not ours")
    orphan = f"corpora/{key_of('o')}/documents.jsonl"
    store.write_bytes(orphan, b"12345")
    assert [found.size for found in store.objects(orphan)] == [5]
    assert line.collect("all", Rules(timedelta(0), timedelta(days=1))).collected == 4
    assert store.exists(orphan)
    assert [line.files(name) for name in ("c0", "c1", "c2", "baseline")] == [0, 0, 3, 3]
    assert not cached.exists()
    assert line.collect("all").collected == 1
    assert not store.exists(orphan)
    assert store.exists(neighbour)
    assert line.plan("all").unknown == [neighbour]
