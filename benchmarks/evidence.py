"""What all the evidence costs: an evaluation with every control beside the bare capture.

A whole embedded deployment; a GPT-2-small-shaped model (12 layers, width 768, random weights), the
site after layer 6, 200 watched features (latents, probes, directions, neurons; a quarter claim a
concept). Every candidate is the base with a little noise in its weights. The first evaluation also
runs the controls on the baseline, which later ones find by digest; the second is measured: all time
that workers spent inside its shards, beside the features of its candidate captured in this process
without anything else.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import torch
from sqlalchemy import text
from transformers import GPT2Config, GPT2LMHeadModel

from app.core.database import Database, make_engine
from app.embedded.stack import EmbeddedStack
from app.registry.definitions import Direction, LinearProbe, Neuron, SaeLatent
from benchmarks.capture import SITE, WIDTH, save_sae
from benchmarks.machine import describe
from tests.support.deployment import documents
from tests.support.models import train_tokenizer
from workers.capture.batches import plan_batches
from workers.capture.checkpoints import resolve_checkpoint
from workers.capture.loading import load_model
from workers.capture.numerics import detect_numerics
from workers.capture.run import capture_batches
from workers.capture.tokenization import tokenize_corpus
from workers.features.dictionaries import load_dictionary
from workers.features.plan import FeaturePlan

LIMIT = 3.0
DOCUMENTS = 240
THREADS = 2
NOISE = 0.02
FEATURES = {"sae_latent": 100, "linear_probe": 40, "direction": 40, "neuron": 20}


def main() -> int:
    """Print both times and their ratio."""
    with tempfile.TemporaryDirectory(prefix="featuredrift-evidence-") as folder:
        root = Path(folder) / "models"
        sources = [_checkpoint(root / name, noise) for name, noise in _NOISE.items()]
        sae = save_sae(root / "sae", torch.randn(512, WIDTH))
        features = _features()
        with (
            EmbeddedStack(data_dir=Path(folder), port=0, threads=THREADS) as stack,
            httpx.Client(base_url=stack.base_url, timeout=300) as client,
        ):
            _register(client, sources[0], sae, features)
            database = Database(make_engine(stack.settings, application="benchmark"))
            first = _evaluate(client, database, sources[1])
            second = _evaluate(client, database, sources[2])
            database.dispose()
            settings = stack.settings
        bare, tokens = _bare(root, sources[2], sae, features, settings.sequence_length)
    print(describe())
    print(f"{tokens} tokens, {sum(FEATURES.values())} features, {THREADS} threads")
    print(f"bare capture of the candidate: {bare:.1f} s")
    print(f"first evaluation, controls on the baseline included: {first:.1f} s of work")
    print(f"second evaluation, controls found by digest: {second:.1f} s of work")
    print(f"ratio: {second / bare:.2f} (wanted: at most {LIMIT:g})")
    return 0 if second / bare <= LIMIT else 1


_NOISE = {"base": 0.0, "first": NOISE, "second": NOISE / 2}


def _checkpoint(folder: Path, noise: float) -> Path:
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config())
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.add_(torch.randn_like(parameter), alpha=noise * float(parameter.std()))
    model.save_pretrained(folder)
    train_tokenizer().save_pretrained(folder)
    return folder


def _features() -> list[Any]:
    rng = np.random.default_rng(0)
    found: list[Any] = []
    for kind, number in FEATURES.items():
        for i in range(number):
            concept = ("comment", "string")[i % 2] if i < number // 4 else None
            common: dict[str, Any] = {"name": f"{kind}-{i}", "concept": concept}
            vector = tuple(rng.standard_normal(WIDTH).tolist())
            if kind == "sae_latent":
                index = int(rng.integers(16384))
                found.append(SaeLatent(dictionary="sae", index=index, **common))
            elif kind == "linear_probe":
                found.append(LinearProbe(site=SITE, weights=vector, **common))
            elif kind == "direction":
                found.append(Direction(site=SITE, vector=vector, **common))
            else:
                found.append(Neuron(site=SITE, index=int(rng.integers(WIDTH)), **common))
    return found


def _register(client: httpx.Client, base: Path, sae: Path, features: list[Any]) -> None:
    def post(path: str, body: dict[str, Any]) -> None:
        answer = client.post(path, json=body)
        if answer.is_error:
            raise RuntimeError(answer.text)

    post("/v1/models", {"name": "gpt2"})
    post("/v1/models/gpt2/checkpoints", {"name": "base", "source": str(base)})
    client.put("/v1/models/gpt2/aliases/baseline", json={"checkpoint": "base"}).raise_for_status()
    post("/v1/corpora", {"name": "probes", "documents": documents(DOCUMENTS)})
    post("/v1/dictionaries", {"name": "sae", "source": str(sae)})
    definitions = [feature.model_dump(mode="json") for feature in features]
    post("/v1/feature-sets", {"name": "set", "features": definitions})
    monitor = {
        "name": "watch",
        "model": "gpt2",
        "corpus": "probes",
        "feature_set": {"name": "set"},
        "baseline": {"alias": "baseline"},
        "policy": {"fvu_max": 1e6},
    }
    post("/v1/monitors", monitor)


def _evaluate(client: httpx.Client, database: Database, source: Path) -> float:
    """Seconds that workers spent inside the shards of one evaluation."""
    begin = time.time()
    path = "/v1/models/gpt2/checkpoints"
    client.post(path, json={"name": source.name, "source": str(source)}).raise_for_status()
    gate = "pending"
    while gate == "pending":
        answer = client.get(f"{path}/{source.name}/gate", params={"wait": "30s"})
        gate = answer.raise_for_status().json()["gate"]
    with database.unit_of_work() as session:
        failed = session.scalar(text("SELECT error FROM evaluations WHERE state = 'failed'"))
        if failed is not None:
            raise RuntimeError(str(failed))
        work = text(
            "SELECT extract(epoch FROM sum(finished_at - started_at))::float8 FROM shards"
            " WHERE started_at > to_timestamp(:begin)"
        )
        return float(session.scalar(work, {"begin": begin}))


def _bare(
    root: Path, source: Path, sae: Path, features: list[Any], sequence_length: int
) -> tuple[float, int]:
    """Seconds of the candidate's capture alone, and its tokens."""
    cache = root / "cache"
    resolved = resolve_checkpoint(str(source), None, roots=[root], cache=cache)
    model = load_model(resolved, detect_numerics("float32", "sdpa", "cpu", THREADS, resolved))
    texts = [document["text"] for document in documents(DOCUMENTS)]
    tokens = tokenize_corpus(texts, resolved, sequence_length)
    batches = plan_batches(tokens.lengths, 8192)
    dictionary = load_dictionary("sae", str(sae), roots=[root], cache=cache)
    plan = FeaturePlan.build(features, {"sae": dictionary})
    capture_batches(model, tokens, batches, 0, 1, plan)
    begin = time.perf_counter()
    capture_batches(model, tokens, batches, 0, batches.batches, plan)
    return time.perf_counter() - begin, tokens.tokens


if __name__ == "__main__":
    sys.exit(main())
