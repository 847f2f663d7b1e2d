"""The names and types of the artifact that `docs/snapshot-format.md` describes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from app.core.digests import sha256_json

FORMAT = "featuredrift-snapshot/1"

SPECIAL = np.uint8(1)
"""Flag bit of a token that the tokenizer added (BOS, CLS, SEP)."""
OUTLIER = np.uint8(2)
"""Flag bit of a token whose activation norm is an outlier at a site that is read."""

EXTRA_PREFIX = "health."
"""Tensors under this prefix are sums for the health figures, not features."""

ACTIVATION_PREFIX = "x."
"""Before a site's name, in a file of raw activations."""

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Float32 = NDArray[np.float32]
UInt8 = NDArray[np.uint8]


@dataclass(frozen=True)
class Column:
    """One feature of a snapshot: on at a token where its value exceeds the threshold."""

    name: str
    threshold: float = 0.0


@dataclass(frozen=True)
class Columns:
    """The features in the order of the stored columns."""

    sparse: tuple[Column, ...] = ()
    dense: tuple[Column, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The manifest's `columns`."""
        return {
            kind: [{"name": c.name, "threshold": c.threshold} for c in columns]
            for kind, columns in (("sparse", self.sparse), ("dense", self.dense))
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Columns":
        """Read the manifest's `columns`."""

        def read(kind: Literal["sparse", "dense"]) -> tuple[Column, ...]:
            return tuple(Column(c["name"], float(c["threshold"])) for c in value[kind])

        return cls(read("sparse"), read("dense"))


@dataclass(frozen=True)
class ShardContent:
    """What capture hands over for one shard: T tokens, S sparse and D dense features."""

    document: Int32
    """[T] index of the document in the corpus."""
    start: Int32
    """[T] first character of the token in its document."""
    end: Int32
    """[T] one past its last character; equal to `start` for special tokens."""
    flags: UInt8
    """[T] `SPECIAL` and `OUTLIER` bits."""
    indptr: Int64
    """[T+1] CSR rows."""
    indices: Int32
    """[nnz] sparse columns, ascending in each row."""
    values: Float32
    """[nnz] activations, never 0."""
    dense: Float32
    """[T, D] values of the dense features."""


@dataclass(frozen=True)
class ActivationContent:
    """Raw activations of some tokens of one shard, at every site that is read."""

    rows: Int64
    """[n] positions among the shard's tokens, ascending."""
    x: Mapping[str, Float32]
    """By site [n, width]."""


@dataclass(frozen=True)
class ActivationSample:
    """Raw activations of some tokens of a snapshot, at one site."""

    rows: Int64
    """[n] positions among the snapshot's tokens, ascending."""
    x: Float32
    """[n, width]"""


@dataclass(frozen=True)
class ActivationFile:
    """The raw activations that stand beside one shard, as the manifest lists them."""

    file: str
    rows: int
    sha256: str


@dataclass(frozen=True)
class Activations:
    """What the manifest says of raw activations."""

    sites: Mapping[str, int]
    """The width of each site."""
    files: tuple[ActivationFile, ...]
    """One for each shard, in their order."""

    def to_json(self) -> dict[str, Any]:
        """The manifest's `activations`."""
        return {"sites": dict(self.sites), "files": [vars(file) for file in self.files]}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Activations":
        """Read the manifest's `activations`."""
        return cls(dict(value["sites"]), tuple(ActivationFile(**file) for file in value["files"]))


@dataclass(frozen=True)
class Shard:
    """One shard as the manifest lists it."""

    file: str
    tokens: int
    first_batch: int
    stop_batch: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """A finished snapshot's manifest."""

    key: str
    inputs: dict[str, Any]
    columns: Columns
    shards: tuple[Shard, ...]
    documents: int
    tokens: int
    special_tokens: int
    outlier_tokens: int
    split_documents: int
    health: dict[str, dict[str, Any]] = field(default_factory=dict)
    activations: Activations | None = None

    def to_json(self) -> dict[str, Any]:
        """The manifest as plain JSON values; its canonical JSON is the stored file."""
        value = {
            "format": FORMAT,
            "key": self.key,
            "inputs": self.inputs,
            "columns": self.columns.to_json(),
            "shards": [vars(shard) for shard in self.shards],
            "documents": self.documents,
            "tokens": self.tokens,
            "special_tokens": self.special_tokens,
            "outlier_tokens": self.outlier_tokens,
            "split_documents": self.split_documents,
            "health": self.health,
        }
        if self.activations is not None:
            value["activations"] = self.activations.to_json()
        return value

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Manifest":
        """Read a manifest.

        Raises:
            KeyError, TypeError, ValueError: it is not a manifest of this format.
        """
        if value["format"] != FORMAT:
            raise ValueError(f"format is {value['format']!r}, this version reads {FORMAT!r}")
        return cls(
            key=value["key"],
            inputs=value["inputs"],
            columns=Columns.from_json(value["columns"]),
            shards=tuple(Shard(**shard) for shard in value["shards"]),
            documents=value["documents"],
            tokens=value["tokens"],
            special_tokens=value["special_tokens"],
            outlier_tokens=value["outlier_tokens"],
            split_documents=value["split_documents"],
            health=value["health"],
            activations=(
                Activations.from_json(value["activations"]) if "activations" in value else None
            ),
        )


def snapshot_key(inputs: dict[str, Any]) -> str:
    """The name of a snapshot: SHA-256 of the canonical JSON of all that determines its content."""
    return sha256_json(inputs)


def folder(key: str) -> str:
    """The artifact folder of a snapshot."""
    return f"snapshots/{key}"


def shard_file(position: int) -> str:
    """The file name of a shard."""
    return f"shard-{position:05d}.safetensors"


def activation_file(position: int) -> str:
    """The file name of the raw activations beside a shard."""
    return f"activations-{position:05d}.safetensors"
