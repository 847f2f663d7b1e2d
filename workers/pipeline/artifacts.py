"""What a finished snapshot left in the artifact store."""

from collections.abc import Mapping
from typing import Any

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


def check_complete(store: ArtifactStore, key: str, inputs: Mapping[str, Any]) -> None:
    """Make sure that a snapshot which the ledger calls complete can be read.

    Raises:
        EvaluationError: it is missing or damaged.
    """
    if inputs["purpose"] == "causal":
        read_causal(store, key)
    else:
        SnapshotReader(store, key)
