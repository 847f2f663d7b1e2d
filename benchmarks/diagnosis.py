"""50 drifted features diagnosed on 1 M tokens of width 768.

`python -m benchmarks.diagnosis`. The candidate is turned and noisy, so that no scale, index or map
makes a feature equivalent: every feature goes through every step, refits and a lookup of 50,000
kinds of tokens included, and a dictionary of 16,384 latents is searched and gated. Activations are
mapped from files, as a worker has them.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import machine

_SITE = "blocks.6.hook_resid_post"
_BLOCK = 1 << 16


def main() -> None:
    """Make activations, diagnose them in a process of its own, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--latents", type=int, default=16_384)
    parser.add_argument("--features", type=int, default=50)
    parser.add_argument("--documents", type=int, default=1_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--child", default=None, help=argparse.SUPPRESS)
    size = parser.parse_args()
    if size.child:
        print(json.dumps(_diagnose(Path(size.child), size)))
        return
    print(machine.describe())
    print(
        f"{size.features} drifted features (half of them latents of {size.latents}), "
        f"{size.tokens} tokens × {size.width}, {size.documents} documents, {size.threads} threads"
    )
    with tempfile.TemporaryDirectory(prefix="featuredrift-benchmark-") as folder:
        _make(Path(folder), size)
        command = [sys.executable, "-m", "benchmarks.diagnosis", "--child", folder]
        for name in ("tokens", "width", "latents", "features", "documents", "threads"):
            command += [f"--{name}", str(getattr(size, name))]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr[-2000:])
        found = json.loads(done.stdout.splitlines()[-1])
    print(
        f"featuredrift: {found['seconds']:.1f} s (limit 60; processor time "
        f"{found['cpu_seconds']:.0f} s), peak resident memory "
        f"{found['peak_gib']:.2f} GiB with the mapped activations, {found['labels']}"
    )


def _make(folder: Path, size: argparse.Namespace) -> None:
    rng = np.random.default_rng(0)
    shape = (size.tokens, size.width)
    Q = np.linalg.qr(rng.standard_normal((size.width, size.width)))[0].astype(np.float32)
    spread = np.linspace(0.5, 2, size.width, dtype=np.float32)
    files = {
        name: np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.float32, shape)
        for name in ("a", "b", "random")
    }
    for first in range(0, size.tokens, _BLOCK):
        here = slice(first, min(first + _BLOCK, size.tokens))
        part = (here.stop - here.start, size.width)
        a = rng.standard_normal(part, dtype=np.float32) * spread
        files["a"][here] = a
        files["b"][here] = a @ Q + 1.2 * rng.standard_normal(part, dtype=np.float32)
        files["random"][here] = rng.standard_normal(part, dtype=np.float32)
    for file in files.values():
        file.flush()
    _dictionary(folder / "sae", rng, size)


def _dictionary(folder: Path, rng: np.random.Generator, size: argparse.Namespace) -> None:
    import torch
    from sae_lens import StandardSAE, StandardSAEConfig

    sae = StandardSAE(StandardSAEConfig(d_in=size.width, d_sae=size.latents))
    sae.cfg.metadata.hook_name = _SITE
    W = rng.standard_normal((size.width, size.latents), dtype=np.float32)
    W /= np.linalg.norm(W, axis=0)
    with torch.no_grad():
        sae.W_enc.copy_(torch.from_numpy(W))
        sae.W_dec.copy_(torch.from_numpy(np.ascontiguousarray(W.T)))
        # About one token in 150: coordinates have a mean square of 1.75.
        sae.b_enc.fill_(-3.3)
    sae.save_model(folder)


def _diagnose(folder: Path, size: argparse.Namespace) -> dict[str, object]:
    import torch

    from app.registry.definitions import Direction, Feature, LinearProbe, Neuron, SaeLatent
    from workers.comparison.sites import SiteSample
    from workers.diagnosis import DiagnosisQuestion, diagnose
    from workers.features.dictionaries import load_dictionary

    torch.set_num_threads(size.threads)
    sae = load_dictionary("sae", str(folder / "sae"), roots=[folder], cache=folder / "cache")
    rng = np.random.default_rng(1)
    half = size.features // 2
    features: list[Feature] = [
        SaeLatent(name=f"latent-{i}", dictionary="sae", index=i * (size.latents // half))
        for i in range(half)
    ]
    for i in range(size.features - half):
        w = tuple(rng.standard_normal(size.width).tolist())
        features.append(
            (
                LinearProbe(name=f"probe-{i}", site=_SITE, weights=w),
                Direction(name=f"direction-{i}", site=_SITE, vector=w),
                Neuron(name=f"neuron-{i}", site=_SITE, index=i),
            )[i % 3]
        )
    start, cpu = time.perf_counter(), time.process_time()
    a, b, random = (_mapped(folder, name) for name in ("a", "b", "random"))
    rows = np.arange(size.tokens)
    document = rows // -(-size.tokens // size.documents)

    def sample(a: NDArray[np.float32], b: NDArray[np.float32] | None) -> SiteSample:
        place = rows.astype(np.int32)
        sides = ({_SITE: a}, {} if b is None else {_SITE: b})
        return SiteSample(rows, document.astype(np.int32), place, place + 1, document, *sides)

    found = diagnose(
        DiagnosisQuestion(
            {f.name: f for f in features},
            [f.name for f in features],
            sample(a, b),
            {"sae": sae},
            sample(random, None),
            token_keys=rng.integers(0, 50_000, size.tokens),
            folder=folder / "repairs",
        )
    )
    seconds, busy = time.perf_counter() - start, time.process_time() - cpu
    return {
        "seconds": seconds,
        "cpu_seconds": busy,
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "labels": dict(Counter(d.label for d in found.values())),
    }


def _mapped(folder: Path, name: str) -> NDArray[np.float32]:
    mapped: NDArray[np.float32] = np.load(folder / f"{name}.npy", mmap_mode="r")
    return mapped


if __name__ == "__main__":
    main()
