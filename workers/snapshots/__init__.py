"""The snapshot artifact: write shards, merge them, read them back."""

from workers.snapshots.format import (
    FORMAT,
    OUTLIER,
    SPECIAL,
    ActivationContent,
    Activations,
    ActivationSample,
    Column,
    Columns,
    Manifest,
    Shard,
    ShardContent,
    folder,
    snapshot_key,
)
from workers.snapshots.reader import Positions, SnapshotReader, TokenBlock
from workers.snapshots.writer import HealthParts, MergeHealth, finish, shard_exists, write_shard

__all__ = [
    "FORMAT",
    "OUTLIER",
    "SPECIAL",
    "ActivationContent",
    "ActivationSample",
    "Activations",
    "Column",
    "Columns",
    "HealthParts",
    "Manifest",
    "MergeHealth",
    "Positions",
    "Shard",
    "ShardContent",
    "SnapshotReader",
    "TokenBlock",
    "finish",
    "folder",
    "shard_exists",
    "snapshot_key",
    "write_shard",
]
