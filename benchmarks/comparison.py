"""16,384 sparse latents × 1 M tokens, compared; beside Evidently and a loop over scipy.

`python -m benchmarks.comparison`. Evidently is no dependency: it is measured where it can be
imported, or by the interpreter of another environment (`--peer-python …/bin/python`). Both peers
are measured on a subset of the latents and extrapolated; the time to make their dense columns,
which would not fit into memory for all latents, is not counted.
"""

import argparse
import importlib.util
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.sparse import csr_array

from app.core.artifacts import ArtifactStore
from benchmarks import machine
from workers.comparison import CorpusLabels, compare_snapshots, write_parquet
from workers.drift.policy import Policy
from workers.snapshots import (
    Column,
    Columns,
    ShardContent,
    SnapshotReader,
    finish,
    snapshot_key,
    write_shard,
)

_SHARD = 1 << 16
_PEER_FEATURES = 16

_EVIDENTLY = """
import json, sys, time
import numpy as np, pandas as pd
from importlib.metadata import version
from evidently import Report
from evidently.presets import DataDriftPreset
a, b = (pd.DataFrame(np.load(path)).add_prefix("f") for path in sys.argv[1:3])
start = time.perf_counter()
Report([DataDriftPreset()]).run(current_data=b, reference_data=a).dict()
print(json.dumps({"seconds": time.perf_counter() - start, "version": version("evidently")}))
"""


def main() -> None:
    """Make two snapshots, compare them, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latents", type=int, default=16_384)
    parser.add_argument("--tokens", type=int, default=1_000_000)
    parser.add_argument("--documents", type=int, default=1_000)
    parser.add_argument("--active", type=int, default=50, help="latents active per token")
    parser.add_argument("--peer-python", default=None, help="an interpreter that has Evidently")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    size = parser.parse_args()
    if size.child:
        print(json.dumps(_compare(*size.child, documents=size.documents)))
        return
    print(machine.describe())
    print(
        f"{size.latents} latents × {size.tokens} tokens, {size.documents} documents, "
        f"{size.active} latents drawn per token"
    )
    with tempfile.TemporaryDirectory(prefix="featuredrift-benchmark-") as folder:
        a, b = make_snapshots(folder, size.latents, size.tokens, size.documents, size.active)
        # A process of its own: peak memory is then that of the comparison and nothing else.
        arguments = ["--documents", str(size.documents), "--child", folder, a, b]
        found = _run([sys.executable, "-m", "benchmarks.comparison", *arguments])
        ours = float(found["seconds"])
        print(
            f"featuredrift: {ours:.1f} s (limit 60), peak memory {found['peak_gib']:.2f} GiB "
            f"(limit 4), {found['counts']}, Parquet {found['parquet_mib']:.1f} MiB"
        )
        columns = [peer_columns(folder, key, size.latents) for key in (a, b)]
        start = time.perf_counter()
        for x, y in zip(columns[0].T, columns[1].T, strict=True):
            stats.ks_2samp(x, y, method="asymp")
        _report("scipy ks_2samp loop", time.perf_counter() - start, size.latents, ours)
        _evidently(Path(folder), columns, size, ours)


def make_snapshots(
    folder: str, latents: int, tokens: int, documents: int, active: int
) -> tuple[str, str]:
    """Two snapshots: power-law firing rates, and a candidate with known changes.

    Latent i of the candidate: dead if i % 50 is 0, half as large if 1, moved to other tokens if 2;
    all others lose 3% of their tokens and vary by 5% in size.

    Returns:
        Their keys.
    """
    rng = np.random.default_rng(0)
    store = ArtifactStore(Path(folder).as_uri())
    columns = Columns(sparse=tuple(Column(f"latent-{i}") for i in range(latents)))
    inputs = [{"side": side, "latents": latents, "tokens": tokens} for side in ("a", "b")]
    keys = [snapshot_key(value) for value in inputs]
    # Firing rates from about 10% down to a few in 100,000, in no order.
    weight = rng.permutation((np.arange(latents) + 10.0) ** -0.8)
    edges = np.cumsum(weight / weight.sum())
    length = -(-tokens // documents)
    for position, first in enumerate(range(0, tokens, _SHARD)):
        token = np.arange(first, min(first + _SHARD, tokens))
        a = _draw(rng, edges, len(token), active)
        b = _change(rng, a)
        place = (token % length).astype(np.int32)
        for key, matrix in zip(keys, (a, b), strict=True):
            content = ShardContent(
                document=(token // length).astype(np.int32),
                start=place,
                end=place + 1,
                flags=np.zeros(len(token), np.uint8),
                indptr=matrix.indptr.astype(np.int64),
                indices=matrix.indices.astype(np.int32),
                values=matrix.data.astype(np.float32),
                dense=np.zeros((len(token), 0), np.float32),
            )
            write_shard(
                store, key, position, content, first_batch=position, stop_batch=position + 1
            )
    for key, value in zip(keys, inputs, strict=True):
        finish(
            store,
            key,
            inputs=value,
            columns=columns,
            shards=position + 1,
            documents=documents,
            split_documents=0,
        )
    return keys[0], keys[1]


def peer_columns(folder: str, key: str, latents: int) -> NDArray[np.float64]:
    """[tokens, 16] dense values of latents spread over all firing rates."""
    reader = SnapshotReader(ArtifactStore(Path(folder).as_uri()), key)
    chosen = np.linspace(3, latents - 1, _PEER_FEATURES).astype(int)
    pieces = [
        reader.read(first, first + _SHARD).sparse[:, chosen].toarray()
        for first in range(0, reader.tokens, _SHARD)
    ]
    return np.concatenate(pieces).astype(np.float64)


def _draw(rng: np.random.Generator, edges: NDArray, tokens: int, active: int) -> csr_array:
    latent = np.searchsorted(edges, rng.random((tokens, active))).clip(0, len(edges) - 1)
    row = np.repeat(np.arange(tokens), active)
    values = rng.exponential(size=latent.size) + 0.01
    # The constructor would add up a latent drawn twice; it keeps one of them.
    place = np.unique(row * len(edges) + latent.ravel())
    matrix = csr_array(
        (values[: len(place)], (place // len(edges), place % len(edges))),
        shape=(tokens, len(edges)),
    )
    return csr_array(matrix)


def _change(rng: np.random.Generator, a: csr_array) -> csr_array:
    b = a.tocoo()
    kind = b.col % 50
    data = b.data * np.exp(0.05 * rng.normal(size=b.nnz)) * np.where(kind == 1, 0.5, 1.0)
    data[(kind == 0) | (rng.random(b.nnz) < 0.03)] = 0
    row = np.where(kind == 2, (b.row + 7) % a.shape[0], b.row)
    changed = csr_array((data, (row, b.col)), shape=a.shape)
    changed.eliminate_zeros()
    changed.sort_indices()
    return changed


def _compare(folder: str, a: str, b: str, documents: int) -> dict[str, object]:
    store = ArtifactStore(Path(folder).as_uri())
    start = time.perf_counter()
    result = compare_snapshots(
        SnapshotReader(store, a),
        SnapshotReader(store, b),
        CorpusLabels(np.arange(documents)),
        Policy(),
    )
    artifact = write_parquet(result.verdicts)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "seconds": seconds,
        "peak_gib": peak / 2**30,
        "counts": result.summary.counts,
        "parquet_mib": len(artifact) / 2**20,
    }


def _evidently(folder: Path, columns: list[NDArray], size: argparse.Namespace, ours: float) -> None:
    python = size.peer_python
    if python is None and importlib.util.find_spec("evidently"):
        python = sys.executable
    if python is None:
        print("Evidently: not installed here; give --peer-python to measure it")
        return
    paths = [str(folder / f"{side}.npy") for side in "ab"]
    for path, values in zip(paths, columns, strict=True):
        np.save(path, values)
    found = _run([python, "-c", _EVIDENTLY, *paths])
    name = f"Evidently {found['version']} DataDriftPreset"
    _report(name, float(found["seconds"]), size.latents, ours)


def _report(name: str, seconds: float, latents: int, ours: float) -> None:
    total = seconds / _PEER_FEATURES * latents
    print(
        f"{name}: {seconds:.2f} s for {_PEER_FEATURES} latents, {total / 60:.0f} min for {latents} "
        f"(extrapolated): {total / ours:.0f} times as long"
    )


def _run(command: list[str]) -> dict:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command[0]} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
