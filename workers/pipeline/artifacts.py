"""What a finished snapshot left in the artifact store."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from app.core.artifact_locks import hold
from app.core.artifacts import ArtifactStore
from workers.causal.measurement import CausalMeasurement
from workers.errors import EvaluationError, SnapshotCorruptError
from workers.snapshots import SnapshotReader, folder


def causal_artifact(key: str) -> str:
    """Where the causal measurement of a snapshot lies."""
    return f"{folder(key)}/causal.safetensors"


def read_causal(store: ArtifactStore, key: str) -> CausalMeasurement:
    """A finished causal measurement.

    Raises:
        SnapshotCorruptError: it is missing or damaged.
    """
    name = causal_artifact(key)
    try:
        return CausalMeasurement.from_bytes(store.read_bytes(name))
    except FileNotFoundError:
        raise SnapshotCorruptError(key, f"{name} is missing") from None
    except EvaluationError as error:
        raise SnapshotCorruptError(key, f"{name} cannot be read ({error.detail})") from error


def snapshot_size(store: ArtifactStore, key: str) -> int:
    """Bytes of all files of a snapshot."""
    return sum(found.size for found in store.objects(folder(key)))


def hold_files(session: Session, store: ArtifactStore, keys: Sequence[str]) -> None:
    """Keep files from being collected until a row of this transaction refers to them.

    Raises:
        FileNotFoundError: one was collected since it was written or found; the shard is tried
            again, and writes it anew.
    """
    for key in keys:
        hold(session, [key.rpartition("/")[0] if key.startswith("dictionaries/") else key])
    for key in keys:
        if not store.exists(key):
            raise FileNotFoundError(f"{key} was collected before anything referred to it")


def check_complete(store: ArtifactStore, key: str, inputs: Mapping[str, Any]) -> None:
    """Make sure that a snapshot which the ledger calls complete can be read.

    Raises:
        EvaluationError: it is missing or damaged.
    """
    if inputs["purpose"] == "causal":
        read_causal(store, key)
    else:
        SnapshotReader(store, key)
