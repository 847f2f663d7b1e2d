"""The artifact: what was written is read back, and what is damaged or unfinished never is."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from scipy.sparse import csr_array

from app.core.artifacts import ArtifactStore
from workers.errors import EvaluationError
from workers.snapshots import (
    OUTLIER,
    SPECIAL,
    Column,
    Columns,
    HealthParts,
    Manifest,
    ShardContent,
    SnapshotReader,
    finish,
    snapshot_key,
    write_shard,
)

COLUMNS = Columns(
    sparse=tuple(Column(f"latent-{i}") for i in range(5)), dense=(Column("probe", -0.5),)
)
INPUTS = {"weights_digest": "a" * 64, "corpus_digest": "b" * 64}
KEY = snapshot_key(INPUTS)
SIZES = (7, 1, 12)


def content(tokens: int, seed: int) -> ShardContent:
    rng = np.random.default_rng(seed)
    matrix = csr_array(np.maximum(rng.normal(size=(tokens, 5)), 0).astype(np.float32))
    flags = np.zeros(tokens, np.uint8)
    flags[0] = SPECIAL
    flags[-1] |= OUTLIER
    return ShardContent(
        document=np.full(tokens, seed, np.int32),
        start=np.arange(tokens, dtype=np.int32),
        end=np.arange(1, tokens + 1, dtype=np.int32),
        flags=flags,
        indptr=matrix.indptr.astype(np.int64),
        indices=matrix.indices.astype(np.int32),
        values=matrix.data,
        dense=rng.normal(size=(tokens, 1)).astype(np.float32),
    )


def write(store: ArtifactStore, position: int) -> ShardContent:
    shard = content(SIZES[position], position)
    write_shard(
        store,
        KEY,
        position,
        shard,
        first_batch=10 * position,
        stop_batch=10 * position + 10,
        shard_json={"tokens": SIZES[position]},
        extra_tensors={"health.sae.sum": np.full(2, position, np.float64)},
    )
    return shard


def close(store: ArtifactStore) -> Manifest:
    def merge(parts: HealthParts) -> dict[str, dict[str, float]]:
        total = sum(tensors["health.sae.sum"] for tensors, _ in parts)
        return {"sae": {"fvu": float(total[0]), "tokens": sum(j["tokens"] for _, j in parts)}}

    return finish(
        store,
        KEY,
        inputs=INPUTS,
        columns=COLUMNS,
        shards=len(SIZES),
        documents=3,
        split_documents=0,
        merge_health=merge,
    )


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path.as_uri())


def test_any_range_of_tokens_is_read_back_across_shards(store: ArtifactStore) -> None:
    shards = [write(store, i) for i in (2, 0, 1)]
    shards = [shards[1], shards[2], shards[0]]
    close(store)
    reader = SnapshotReader(store, KEY)
    dense = np.concatenate([s.dense for s in shards])
    document = np.concatenate([s.document for s in shards])
    sparse = np.concatenate(
        [
            csr_array((s.values, s.indices, s.indptr), shape=(len(s.document), 5)).toarray()
            for s in shards
        ]
    )
    for start in range(21):
        for stop in range(start, 21):
            block = reader.read(start, stop, slice(1, 4))
            np.testing.assert_array_equal(block.document, document[start:stop])
            np.testing.assert_array_equal(block.dense, dense[start:stop])
            np.testing.assert_array_equal(block.sparse.toarray(), sparse[start:stop, 1:4])
    assert reader.read(0, 20, slice(0, 0)).sparse.shape == (20, 0)
    np.testing.assert_array_equal(reader.positions().document, document)
    assert reader.token_range(10, 30) == (7, 20)
    with pytest.raises(ValueError, match="exactly the batches 5 to 20"):
        reader.token_range(5, 20)


def test_the_manifest_counts_and_merges(store: ArtifactStore) -> None:
    for i in range(3):
        write(store, i)
    close(store)
    manifest = SnapshotReader(store, KEY).manifest
    assert (manifest.tokens, manifest.special_tokens, manifest.outlier_tokens) == (20, 3, 3)
    assert manifest.health == {"sae": {"fvu": 3.0, "tokens": 20}}
    assert manifest.columns == COLUMNS


def test_shards_are_plain_safetensors_as_documented(store: ArtifactStore) -> None:
    shard = write(store, 0)
    tensors = load_file(store.local_path(f"snapshots/{KEY}/shard-00000.safetensors"))
    assert {name: value.dtype for name, value in tensors.items()} == {
        "document": np.int32,
        "start": np.int32,
        "end": np.int32,
        "flags": np.uint8,
        "sparse.indptr": np.int64,
        "sparse.indices": np.int32,
        "sparse.values": np.float32,
        "dense.values": np.float32,
        "health.sae.sum": np.float64,
    }
    np.testing.assert_array_equal(tensors["sparse.values"], shard.values)


def test_the_same_content_gives_the_same_bytes_however_often_it_is_written(
    store: ArtifactStore,
) -> None:
    def everything() -> dict[str, bytes]:
        return {key: store.read_bytes(key) for key in store.list_keys("snapshots")}

    for i in range(3):
        write(store, i)
    close(store)
    first = everything()
    for i in (1, 2, 0):
        write(store, i)
    close(store)
    assert everything() == first
    assert len(first) == 7


def test_a_snapshot_without_manifest_does_not_exist(store: ArtifactStore) -> None:
    write(store, 0)
    with pytest.raises(EvaluationError, match="never finished"):
        SnapshotReader(store, KEY)


def test_a_missing_shard_is_named_and_no_manifest_is_written(store: ArtifactStore) -> None:
    write(store, 0)
    write(store, 2)
    with pytest.raises(EvaluationError, match="shard 1 of 3"):
        close(store)
    assert not store.exists(f"snapshots/{KEY}/manifest.json")


def test_shards_of_different_batch_plans_are_not_joined(store: ArtifactStore) -> None:
    for i in range(3):
        write(store, i)
    write_shard(store, KEY, 1, content(1, 1), first_batch=11, stop_batch=20)
    with pytest.raises(EvaluationError, match=r"stops at batch 10 but .* starts at batch 11"):
        close(store)


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove"])
def test_a_damaged_shard_is_refused_by_name(store: ArtifactStore, damage: str) -> None:
    for i in range(3):
        write(store, i)
    close(store)
    path = store.local_path(f"snapshots/{KEY}/shard-00001.safetensors")
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[-1] ^= 1
    path.write_bytes(data[:-5] if damage == "truncate" else data)
    if damage == "remove":
        path.unlink()
    reader = SnapshotReader(store, KEY)
    assert len(reader.read(0, 7)) == 7
    with pytest.raises(EvaluationError, match=r"shard-00001\.safetensors is") as caught:
        reader.read(0, 8)
    assert caught.value.code == "snapshot_corrupt"


@pytest.mark.parametrize("text", [b"", b"{", b'{"format": "featuredrift-snapshot/9"}', b"{}"])
def test_a_damaged_or_foreign_manifest_is_refused(store: ArtifactStore, text: bytes) -> None:
    store.write_bytes(f"snapshots/{KEY}/manifest.json", text)
    with pytest.raises(EvaluationError, match="no readable manifest"):
        SnapshotReader(store, KEY)


def test_a_manifest_of_another_snapshot_is_refused(store: ArtifactStore) -> None:
    for i in range(3):
        write(store, i)
    other = close(store).to_json() | {"key": "c" * 64}
    store.write_bytes(f"snapshots/{KEY}/manifest.json", json.dumps(other).encode())
    with pytest.raises(EvaluationError, match="belongs to snapshot cccc"):
        SnapshotReader(store, KEY)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["values", "dense"])
def test_nan_and_infinity_never_enter_a_snapshot(
    store: ArtifactStore, where: str, value: float
) -> None:
    shard = content(7, 0)
    array = getattr(shard, where).copy()
    array.flat[0] = value
    with pytest.raises(EvaluationError, match="NaN or infinite"):
        write_shard(store, KEY, 0, replace(shard, **{where: array}), first_batch=0, stop_batch=1)
    assert not list(store.list_keys("snapshots"))


def test_arrays_that_do_not_fit_together_are_refused(store: ArtifactStore) -> None:
    shard = content(7, 0)
    for broken in (replace(shard, end=shard.end[:-1]), replace(shard, values=shard.values[:-1])):
        with pytest.raises(ValueError, match=r"covers 6 tokens|do not fit together"):
            write_shard(store, KEY, 0, broken, first_batch=0, stop_batch=1)
    with pytest.raises(ValueError, match=r"must be named health\."):
        write_shard(
            store,
            KEY,
            0,
            shard,
            first_batch=0,
            stop_batch=1,
            extra_tensors={"document": np.zeros(1)},
        )


def test_a_snapshot_without_tokens_or_features_is_readable(store: ArtifactStore) -> None:
    empty = ShardContent(
        *(np.zeros(0, np.int32) for _ in range(3)),
        np.zeros(0, np.uint8),
        np.zeros(1, np.int64),
        np.zeros(0, np.int32),
        np.zeros(0, np.float32),
        np.zeros((0, 0), np.float32),
    )
    write_shard(store, KEY, 0, empty, first_batch=0, stop_batch=1)
    finish(store, KEY, inputs=INPUTS, columns=Columns(), shards=1, documents=0, split_documents=0)
    reader = SnapshotReader(store, KEY)
    assert reader.tokens == len(reader.read(0, 0)) == 0
