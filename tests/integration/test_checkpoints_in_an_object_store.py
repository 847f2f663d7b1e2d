"""Checkpoints under `s3://`, against a real S3 server speaking HTTP."""

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
import s3fs
from moto.server import ThreadedMotoServer

from tests.support.models import save_checkpoint
from workers.capture.checkpoints import ResolvedCheckpoint, resolve_checkpoint
from workers.errors import EvaluationError


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """An empty bucket `ckpt`."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    # fsspec keeps its clients, with the last test's address.
    s3fs.S3FileSystem.clear_instance_cache()
    bucket = boto3.resource("s3").create_bucket(Bucket="ckpt")
    yield bucket
    bucket.objects.all().delete()  # moto keeps objects beyond its server
    server.stop()


def upload(bucket: object, folder: Path) -> None:
    for file in folder.iterdir():
        bucket.upload_file(str(file), f"step-1/{file.name}")  # type: ignore[attr-defined]


def resolve(tmp_path: Path, source: str = "s3://ckpt/step-1") -> ResolvedCheckpoint:
    return resolve_checkpoint(source, None, roots=[tmp_path / "m"], cache=tmp_path / "cache")


def test_a_checkpoint_is_fetched_once_and_again_when_it_changes(
    bucket: object, tmp_path: Path
) -> None:
    local = save_checkpoint(tmp_path / "m" / "local")
    (local / "optimizer.pt").write_bytes(b"never fetched")
    upload(bucket, local)
    first = resolve(tmp_path)
    direct = resolve(tmp_path, str(local))
    assert first.digest == direct.digest
    assert first.tokenizer_digest == direct.tokenizer_digest
    assert not (first.path / "optimizer.pt").exists()
    stamp = (first.path / "model.safetensors").stat().st_mtime_ns
    assert resolve(tmp_path, "s3://ckpt/step-1/").path == first.path
    assert (first.path / "model.safetensors").stat().st_mtime_ns == stamp
    upload(bucket, save_checkpoint(tmp_path / "m" / "other", seed=1))
    changed = resolve(tmp_path)
    assert changed.path != first.path
    assert changed.weights_digest != first.weights_digest


def test_a_bucket_without_the_checkpoint_says_so(bucket: object, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="nothing at 's3://ckpt/step-9'") as failure:
        resolve(tmp_path, "s3://ckpt/step-9")
    assert failure.value.code == "source_missing"


def test_pickles_are_refused_before_they_are_fetched(bucket: object, tmp_path: Path) -> None:
    local = save_checkpoint(tmp_path / "m" / "local")
    (local / "model.safetensors").rename(local / "pytorch_model.bin")
    upload(bucket, local)
    with pytest.raises(EvaluationError) as failure:
        resolve(tmp_path)
    assert failure.value.code == "pickle_refused"
    assert not list((tmp_path / "cache").rglob("*"))


def test_missing_credentials_are_told_and_not_tried_again(
    bucket: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(EvaluationError, match="'s3://ckpt/step-1' may not be read") as failure:
        resolve(tmp_path)
    assert failure.value.code == "source_refused"
    assert "AWS_ACCESS_KEY_ID" in failure.value.detail
