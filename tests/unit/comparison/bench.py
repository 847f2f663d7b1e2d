"""A small corpus, and snapshots of it on disk."""

from typing import Any

import numpy as np
from scipy.sparse import csr_array

from app.core.artifacts import ArtifactStore
from workers.comparison import ComparisonResult, CorpusLabels
from workers.snapshots import (
    Column,
    Columns,
    ShardContent,
    SnapshotReader,
    finish,
    snapshot_key,
    write_shard,
)

DOCUMENTS, LENGTH, LATENTS, PROBES = 80, 30, 6, 3
TOKENS = DOCUMENTS * LENGTH
CONCEPTS = {"probe-0": "number", "latent-0": "number"}
INPUTS: dict[str, Any] = {
    "weights_digest": "1" * 64,
    "tokenizer_digest": "2" * 64,
    "corpus_digest": "3" * 64,
    "features_digest": "4" * 64,
    "dictionaries": {"sae": "5" * 64},
    "sequence_length": LENGTH,
    "numerics": {"dtype": "float32", "threads": 2},
}


class Bench:
    """Values at every token of a small corpus, and a store to write them to as snapshots."""

    def __init__(self, store: ArtifactStore) -> None:
        rng = np.random.default_rng(0)
        self.store = store
        self.document = np.repeat(np.arange(DOCUMENTS), LENGTH).astype(np.int32)
        # Each token is a word of three characters and the space before it.
        self.start = np.tile(np.arange(LENGTH) * 4, DOCUMENTS).astype(np.int32)
        self.end = self.start + 4
        self.flags = np.zeros(TOKENS, np.uint8)
        self.number = rng.random(TOKENS) < 0.3
        self.latents = np.where(
            rng.random((TOKENS, LATENTS)) < 0.3, rng.exponential(size=(TOKENS, LATENTS)), 0.0
        )
        self.latents[:, 0] = np.where(self.number, 1 + rng.random(TOKENS), 0.0)
        self.probes = rng.normal(size=(TOKENS, PROBES))
        self.probes[:, 0] += 2 * self.number

    @property
    def corpus(self) -> CorpusLabels:
        spans = [
            [
                (int(s) + 1, int(s) + 4)
                for s, n in zip(self.start[rows], self.number[rows], strict=True)
                if n
            ]
            for rows in (slice(i * LENGTH, (i + 1) * LENGTH) for i in range(DOCUMENTS))
        ]
        return CorpusLabels(
            np.arange(DOCUMENTS), {"number": spans}, [" abc" * LENGTH for _ in range(DOCUMENTS)]
        )

    def snapshot(
        self, name: str, *, fvu: float | None = 0.1, shards: int = 3, **changes: Any
    ) -> SnapshotReader:
        arrays = {
            "document": self.document,
            "start": self.start,
            "end": self.end,
            "flags": self.flags,
            "latents": self.latents,
            "probes": self.probes,
        }
        arrays.update({k: changes.pop(k) for k in list(changes) if k in arrays})
        inputs = INPUTS | {"weights_digest": name} | changes
        key = snapshot_key(inputs)
        tokens = len(arrays["document"])
        bounds = np.linspace(0, tokens, shards + 1).astype(int)
        for position in range(shards):
            rows = slice(bounds[position], bounds[position + 1])
            matrix = csr_array(arrays["latents"][rows].astype(np.float32))
            write_shard(
                self.store,
                key,
                position,
                ShardContent(
                    *(arrays[n][rows] for n in ("document", "start", "end", "flags")),
                    matrix.indptr.astype(np.int64),
                    matrix.indices.astype(np.int32),
                    matrix.data,
                    arrays["probes"][rows].astype(np.float32),
                ),
                first_batch=position,
                stop_batch=position + 1,
            )
        finish(
            self.store,
            key,
            inputs=inputs,
            columns=Columns(
                tuple(Column(f"latent-{i}") for i in range(LATENTS)),
                tuple(Column(f"probe-{i}") for i in range(PROBES)),
            ),
            shards=shards,
            documents=DOCUMENTS,
            split_documents=0,
            merge_health=lambda _: {"sae": {"fvu": fvu}},
        )
        return SnapshotReader(self.store, key)


def changed(bench: Bench) -> SnapshotReader:
    rng = np.random.default_rng(1)
    latents = np.where(rng.random(bench.latents.shape) < 0.98, bench.latents, 0)
    latents[:, 1] = 0
    latents[:, 2] *= 2
    probes = bench.probes + 0.02 * rng.normal(size=bench.probes.shape)
    probes[:, 0] -= bench.number
    return bench.snapshot("changed", latents=latents, probes=probes)


def numbers(result: ComparisonResult) -> list[tuple]:
    return [
        (row.name, row.verdict, row.changes, row.g_active, round(row.effect or 0, 9))
        for row in result.verdicts
    ]
