"""Raw activations beside the shards: what does not fit is refused, and the same gives the same."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.core.artifacts import ArtifactStore
from tests.unit.snapshots.test_snapshots import COLUMNS, INPUTS, KEY, content
from workers.errors import EvaluationError
from workers.snapshots import ActivationContent, Manifest, SnapshotReader, finish, write_shard

SIZES = (7, 5, 12)
ROWS: tuple[list[int], ...] = ([0, 3, 6], [], [11])


def kept(position: int) -> ActivationContent:
    rows = np.array(ROWS[position], np.int64)
    x = np.random.default_rng(position).normal(size=(len(rows), 4)).astype(np.float32)
    return ActivationContent(rows, {"blocks.0": x, "blocks.1": -x})


def write(store: ArtifactStore, position: int, activations: ActivationContent | None) -> None:
    write_shard(
        store,
        KEY,
        position,
        content(SIZES[position], position),
        first_batch=position,
        stop_batch=position + 1,
        activations=activations,
    )


def close(store: ArtifactStore) -> Manifest:
    return finish(
        store,
        KEY,
        inputs=INPUTS,
        columns=COLUMNS,
        shards=len(SIZES),
        documents=3,
        split_documents=0,
    )


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path.as_uri())


def test_rows_count_the_tokens_of_the_snapshot(store: ArtifactStore) -> None:
    for i in (2, 0, 1):
        write(store, i, kept(i))
    close(store)
    reader = SnapshotReader(store, KEY)
    assert reader.activation_sites == {"blocks.0": 4, "blocks.1": 4}
    np.testing.assert_array_equal(reader.activation_rows(), [0, 3, 6, 23])
    sample = reader.activations("blocks.1")
    np.testing.assert_array_equal(
        sample.x, np.concatenate([kept(i).x["blocks.1"] for i in range(3)])
    )
    stored = reader.manifest.activations
    assert stored is not None
    assert [file.rows for file in stored.files] == [3, 0, 1]
    assert Manifest.from_json(reader.manifest.to_json()) == reader.manifest


def test_the_same_activations_give_the_same_bytes(store: ArtifactStore) -> None:
    def everything() -> dict[str, bytes]:
        return {key: store.read_bytes(key) for key in store.list_keys("snapshots")}

    for i in range(3):
        write(store, i, kept(i))
    close(store)
    first = everything()
    for i in (1, 2, 0):
        write(store, i, kept(i))
    close(store)
    assert everything() == first


@pytest.mark.parametrize("rows", [[3, 0, 6], [0, 0, 6], [0, 3, 7], [-1, 3, 6]])
def test_rows_that_do_not_ascend_among_the_tokens_are_refused(
    store: ArtifactStore, rows: list[int]
) -> None:
    with pytest.raises(ValueError, match="must ascend and lie among 7 tokens"):
        write(store, 0, replace(kept(0), rows=np.array(rows)))


def test_activations_of_another_length_are_refused(store: ArtifactStore) -> None:
    with pytest.raises(ValueError, match=r"site 'a' are \(2, 4\) for 3 rows"):
        write(store, 0, replace(kept(0), x={"a": np.zeros((2, 4), np.float32)}))


def test_a_snapshot_has_activations_throughout_or_nowhere(store: ArtifactStore) -> None:
    for i in range(3):
        write(store, i, None if i == 1 else kept(i))
    with pytest.raises(EvaluationError, match="raw activations of different sites"):
        close(store)
