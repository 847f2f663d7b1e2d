"""Reading a finished snapshot: ranges of tokens, across shard boundaries, from mapped files."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from app.core.artifacts import ArtifactStore
from app.core.digests import sha256_file
from workers.errors import EvaluationError, SnapshotCorruptError
from workers.snapshots.format import (
    ACTIVATION_PREFIX,
    ActivationSample,
    Columns,
    Float32,
    Int32,
    Int64,
    Manifest,
    UInt8,
    folder,
)
from workers.snapshots.tensors import open_tensors


@dataclass(frozen=True)
class Positions:
    """Where the tokens of a snapshot stand in the corpus; all arrays are [tokens]."""

    document: Int32
    start: Int32
    end: Int32
    flags: UInt8


@dataclass(frozen=True)
class TokenBlock:
    """Consecutive tokens of a snapshot: T tokens, S sparse and D dense features."""

    document: Int32
    start: Int32
    end: Int32
    flags: UInt8
    sparse: csr_array
    """[T, S] float32."""
    dense: Float32
    """[T, D]."""

    def __len__(self) -> int:
        return len(self.document)


class SnapshotReader:
    """One finished snapshot. A shard's digest is checked when it is first read.

    Raises:
        EvaluationError: there is no manifest (the snapshot was never finished), or it is damaged.
    """

    def __init__(self, store: ArtifactStore, key: str) -> None:
        self._store = store
        self._key = key
        self._files: dict[str, dict[str, NDArray[Any]]] = {}
        name = f"{folder(key)}/manifest.json"
        try:
            self.manifest = Manifest.from_json(json.loads(store.read_bytes(name)))
        except FileNotFoundError:
            raise EvaluationError(
                "snapshot_missing",
                f"snapshot {key[:12]} has no manifest: it was never finished; capture it again",
            ) from None
        except (ValueError, KeyError, TypeError) as error:
            raise SnapshotCorruptError(key, f"{name} is no readable manifest ({error})") from error
        if self.manifest.key != key:
            raise SnapshotCorruptError(
                key, f"{name} belongs to snapshot {self.manifest.key[:12]}, not to {key[:12]}"
            )
        self._first = np.cumsum([0, *(shard.tokens for shard in self.manifest.shards)])

    @property
    def columns(self) -> Columns:
        """The features in the order of the columns."""
        return self.manifest.columns

    @property
    def tokens(self) -> int:
        """All tokens, special ones included."""
        return self.manifest.tokens

    def read(
        self, token_start: int, token_stop: int, sparse_columns: slice | None = None
    ) -> TokenBlock:
        """Tokens `token_start` to `token_stop`, and of the sparse features only some columns.

        Views of the mapped file where the range lies in one shard, copies where it does not.

        Args:
            sparse_columns: a range of the sparse features, step 1; None for all.

        Raises:
            EvaluationError: a shard is missing or its bytes are not those of the manifest.
        """
        pieces = []
        for position, shard in enumerate(self.manifest.shards):
            first = int(self._first[position])
            lo, hi = max(token_start - first, 0), min(token_stop - first, shard.tokens)
            if lo < hi:
                pieces.append(self._piece(position, lo, hi, sparse_columns))
        if not pieces:
            return self._empty(sparse_columns)
        if len(pieces) == 1:
            return pieces[0]
        return TokenBlock(
            np.concatenate([p.document for p in pieces]),
            np.concatenate([p.start for p in pieces]),
            np.concatenate([p.end for p in pieces]),
            np.concatenate([p.flags for p in pieces]),
            vstack([p.sparse for p in pieces], format="csr"),
            np.concatenate([p.dense for p in pieces]),
        )

    def positions(self) -> Positions:
        """Where all tokens stand; 13 bytes a token are copied.

        Raises:
            EvaluationError: a shard is missing or its bytes are not those of the manifest.
        """
        shards = [self._open(i) for i in range(len(self.manifest.shards))]

        def gather(name: str, dtype: type) -> NDArray[Any]:
            return np.concatenate([np.zeros(0, dtype), *(shard[name] for shard in shards)])

        return Positions(
            gather("document", np.int32),
            gather("start", np.int32),
            gather("end", np.int32),
            gather("flags", np.uint8),
        )

    @property
    def activation_sites(self) -> Mapping[str, int]:
        """The width of each site whose raw activations are stored; empty if none are."""
        stored = self.manifest.activations
        return {} if stored is None else stored.sites

    def activation_rows(self) -> Int64:
        """[n] the tokens whose raw activations are stored, ascending.

        Raises:
            EvaluationError: a file is missing or its bytes are not those of the manifest.
        """
        return np.concatenate([np.zeros(0, np.int64), *self._activation_parts("rows")])

    def activations(self, site: str) -> ActivationSample:
        """The raw activations of one site; a copy of 4 × n × width bytes where shards are several.

        Raises:
            EvaluationError: none are stored of this site, or a file is missing or damaged.
        """
        if site not in self.activation_sites:
            raise EvaluationError(
                "activations_missing",
                f"snapshot {self._key[:12]} holds no raw activations of site {site!r}; stored are "
                f"{', '.join(self.activation_sites) or 'none'}",
            )
        parts = self._activation_parts(ACTIVATION_PREFIX + site)
        x = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return ActivationSample(self.activation_rows(), x)

    def _activation_parts(self, name: str) -> list[NDArray[Any]]:
        stored = self.manifest.activations
        if stored is None:
            return []
        parts = [self._open_file(file.file, file.sha256)[name] for file in stored.files]
        if name == "rows":
            parts = [part + self._first[i] for i, part in enumerate(parts)]
        return parts

    def token_range(self, first_batch: int, stop_batch: int) -> tuple[int, int]:
        """The tokens of whole shards that hold the batches `first_batch` to `stop_batch`.

        Raises:
            ValueError: no run of shards starts and stops at those batches.
        """
        for i, first in enumerate(self.manifest.shards):
            for j, last in enumerate(self.manifest.shards[i:], i):
                if (first.first_batch, last.stop_batch) == (first_batch, stop_batch):
                    return int(self._first[i]), int(self._first[j + 1])
        raise ValueError(f"no shards cover exactly the batches {first_batch} to {stop_batch}")

    def _piece(self, position: int, lo: int, hi: int, columns: slice | None) -> TokenBlock:
        shard = self._open(position)
        indptr = shard["sparse.indptr"][lo : hi + 1]
        begin, end = int(indptr[0]), int(indptr[-1])
        # int32 rows beside int32 columns: scipy would otherwise copy the columns to int64.
        rows = (indptr - begin).astype(np.int32 if end - begin < 2**31 else np.int64)
        sparse = csr_array(
            (shard["sparse.values"][begin:end], shard["sparse.indices"][begin:end], rows),
            shape=(hi - lo, len(self.columns.sparse)),
        )
        if columns is not None:
            lo_column, hi_column, _ = columns.indices(sparse.shape[1])
            if hi_column <= lo_column:
                sparse = csr_array(np.zeros((hi - lo, 0), np.float32))
            elif hi_column - lo_column < sparse.shape[1]:
                sparse = sparse[:, lo_column:hi_column]
        return TokenBlock(
            shard["document"][lo:hi],
            shard["start"][lo:hi],
            shard["end"][lo:hi],
            shard["flags"][lo:hi],
            sparse,
            shard["dense.values"][lo:hi],
        )

    def _open(self, position: int) -> dict[str, NDArray[Any]]:
        shard = self.manifest.shards[position]
        return self._open_file(shard.file, shard.sha256)

    def _open_file(self, file: str, sha256: str) -> dict[str, NDArray[Any]]:
        if file not in self._files:
            name = f"{folder(self._key)}/{file}"

            def read(path: Path) -> dict[str, NDArray[Any]]:
                if sha256_file(path) != sha256:
                    raise SnapshotCorruptError(
                        self._key,
                        f"{name} is damaged: its SHA-256 is not the manifest's {sha256[:12]}…",
                    )
                return open_tensors(path)

            try:
                self._files[file] = self._store.read_local(name, read)
            except FileNotFoundError:
                raise SnapshotCorruptError(self._key, f"{name} is missing") from None
        return self._files[file]

    def _empty(self, columns: slice | None) -> TokenBlock:
        width = len(self.columns.sparse[columns] if columns else self.columns.sparse)
        integers = np.zeros(0, np.int32)
        return TokenBlock(
            integers,
            integers,
            integers,
            np.zeros(0, np.uint8),
            csr_array(np.zeros((0, width), np.float32)),
            np.zeros((0, len(self.columns.dense)), np.float32),
        )
