"""A small corpus of made tokens, and snapshots of whatever values a test gives them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.core.artifacts import ArtifactStore
from workers.comparison.corpus import CorpusLabels
from workers.snapshots import (
    SPECIAL,
    ActivationContent,
    Column,
    Columns,
    ShardContent,
    SnapshotReader,
    finish,
    snapshot_key,
    write_shard,
)

DOCUMENTS, LENGTH = 80, 40
TOKENS = DOCUMENTS * LENGTH
SITE = "blocks.1.hook_resid_post"


class Bench:
    """80 documents of 40 tokens, the first of each special; every third counted token a number."""

    def __init__(self, store: ArtifactStore) -> None:
        self.store = store
        self.rng = np.random.default_rng(0)
        self.document = np.repeat(np.arange(DOCUMENTS), LENGTH).astype(np.int32)
        self.flags = np.zeros(TOKENS, np.uint8)
        self.flags[::LENGTH] = SPECIAL
        self.start = np.tile(np.arange(LENGTH) * 4, DOCUMENTS).astype(np.int32)
        self.end = np.where(self.flags == SPECIAL, self.start, self.start + 4).astype(np.int32)
        self.number = (self.rng.random(TOKENS) < 0.3) & (self.flags == 0)

    @property
    def corpus(self) -> CorpusLabels:
        spans = []
        for i in range(DOCUMENTS):
            rows = slice(i * LENGTH, (i + 1) * LENGTH)
            starts = self.start[rows][self.number[rows]]
            spans.append([(int(s), int(s) + 4) for s in starts])
        return CorpusLabels(np.arange(DOCUMENTS), {"number": spans})

    def snapshot(
        self,
        name: str,
        latents: Mapping[str, NDArray[Any]] | None = None,
        dense: Mapping[str, NDArray[Any]] | None = None,
        activations: Mapping[str, NDArray[Any]] | None = None,
        shards: int = 3,
    ) -> SnapshotReader:
        """A snapshot of these values, each [tokens] by feature; activations [tokens, width]."""
        latents, dense = latents or {}, dense or {}
        matrices = [
            np.stack([*values.values()], axis=1) if values else np.zeros((TOKENS, 0))
            for values in (latents, dense)
        ]
        inputs = {"weights_digest": name, "tokenizer_digest": "t", "corpus_digest": "c"}
        key = snapshot_key(inputs)
        bounds = np.linspace(0, TOKENS, shards + 1).astype(int)
        for position in range(shards):
            rows = slice(bounds[position], bounds[position + 1])
            sparse = csr_array(matrices[0][rows].astype(np.float32))
            count = bounds[position + 1] - bounds[position]
            write_shard(
                self.store,
                key,
                position,
                ShardContent(
                    self.document[rows],
                    self.start[rows],
                    self.end[rows],
                    self.flags[rows],
                    sparse.indptr.astype(np.int64),
                    sparse.indices.astype(np.int32),
                    sparse.data,
                    matrices[1][rows].astype(np.float32),
                ),
                first_batch=position,
                stop_batch=position + 1,
                activations=ActivationContent(
                    np.arange(count),
                    {site: x[rows].astype(np.float32) for site, x in activations.items()},
                )
                if activations
                else None,
            )
        finish(
            self.store,
            key,
            inputs=inputs,
            columns=Columns(tuple(map(Column, latents)), tuple(map(Column, dense))),
            shards=shards,
            documents=DOCUMENTS,
            split_documents=0,
        )
        return SnapshotReader(self.store, key)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(ArtifactStore(tmp_path.as_uri()))
