"""Capture against the bare work it cannot avoid, and against TransformerLens + SAELens.

A GPT-2-small-shaped model (12 layers, width 768, random weights), the site after layer 6:

- 256 watched latents of one SAE, beside a bare forward pass stopped after that layer;
- all 16,384 latents of a JumpReLU SAE, beside the same pass plus `SAE.encode`;
- the same whole dictionary, beside TransformerLens `run_with_cache` plus `SAE.encode`.

All run on the same batches, in turn, in one process; ratios are per turn, so that a machine that
slows down slows both. Run it with ``python -m benchmarks.capture``.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from sae_lens import SAE, JumpReLUSAE, JumpReLUSAEConfig
from transformers import GPT2Config, GPT2LMHeadModel

from app.registry.definitions import SaeLatent
from benchmarks.machine import describe
from tests.support.models import train_tokenizer
from workers.capture.batches import BatchPlan, plan_batches
from workers.capture.checkpoints import resolve_checkpoint
from workers.capture.loading import LoadedModel, load_model
from workers.capture.numerics import detect_numerics
from workers.capture.run import capture_batches
from workers.capture.sites import bind_site, parse_site
from workers.capture.tokenization import TokenizedCorpus
from workers.features.dictionaries import load_dictionary
from workers.features.plan import FeaturePlan

SITE = "blocks.6.hook_resid_post"
WIDTH, LATENTS, WATCHED, L0 = 768, 16384, 256, 64
SEQUENCE, BATCH_TOKENS = 256, 4096


class _StopForwardError(Exception):
    pass


def main() -> None:
    """Measure and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=8192, help="tokens of the corpus")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), arguments.tokens, arguments.repeats, arguments.threads)
    packages = ("torch", "transformers", "sae-lens", "transformer-lens")
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    figures["machine"] = f"{describe()}, {versions}"
    print(f"machine: {figures['machine']}")
    print(f"{arguments.tokens} tokens, {arguments.threads} threads, batches of {BATCH_TOKENS}")
    for name in ("watched", "whole", "transformer_lens"):
        print(f"{figures[name]['what']}: {spread(figures[name]['ratios'])}")
    for name, seconds in figures["seconds"].items():
        print(f"  {name}: {arguments.tokens / median(seconds):,.0f} tokens/s")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2))


def spread(values: list[float]) -> str:
    """Median and range of one ratio's turns."""
    return f"{median(values):.3f} (min {min(values):.3f}, max {max(values):.3f}, n={len(values)})"


def measure(root: Path, tokens: int, repeats: int, threads: int) -> dict[str, Any]:
    """Ratios of tokens per second, ours over theirs, one for each turn."""
    model = _model(root, threads)
    corpus = _corpus(tokens)
    batches = plan_batches(corpus.lengths, BATCH_TOKENS)
    bare = _bare_forward(model, corpus, batches)
    path = save_sae(root / "sae", next(bare(1)))
    source = load_dictionary("sae", str(path), roots=[root], cache=root / "cache")
    sae = SAE.load_from_disk(path).requires_grad_(False)
    rng = np.random.default_rng(0)
    watched = FeaturePlan.build(
        [
            SaeLatent(name=f"f{index}", dictionary="sae", index=int(index))
            for index in np.sort(rng.choice(LATENTS, WATCHED, replace=False))
        ],
        {"sae": source},
    )
    whole = FeaturePlan.whole_dictionary(source)

    def forward(stop: int) -> None:
        for _ in bare(stop):
            pass

    def forward_and_encode(stop: int) -> None:
        for activations in bare(stop):
            sae.encode(activations)

    lens = _transformer_lens(model, corpus, batches, sae)
    tasks: dict[str, Callable[[int], Any]] = {
        "bare forward": forward,
        "watched capture": lambda stop: capture_batches(model, corpus, batches, 0, stop, watched),
        "forward + dense encode": forward_and_encode,
        "whole-dictionary capture": lambda stop: capture_batches(
            model, corpus, batches, 0, stop, whole
        ),
        "TransformerLens + SAELens": lens,
    }
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for task in tasks.values():
        task(1)  # warm up: first calls allocate and page in
    for _ in range(repeats):
        for name, task in tasks.items():
            begin = time.perf_counter()
            task(batches.batches)
            seconds[name].append(time.perf_counter() - begin)

    def ratios(theirs: str, ours: str) -> list[float]:
        return [a / b for a, b in zip(seconds[theirs], seconds[ours], strict=True)]

    return {
        "seconds": seconds,
        "watched": {
            "what": f"{WATCHED} watched latents / bare truncated forward (target ≥ 0.90)",
            "ratios": ratios("bare forward", "watched capture"),
        },
        "whole": {
            "what": f"all {LATENTS} latents / (forward + dense encode) (target ≥ 0.80)",
            "ratios": ratios("forward + dense encode", "whole-dictionary capture"),
        },
        "transformer_lens": {
            "what": "all latents / TransformerLens run_with_cache + SAELens encode (faster: > 1)",
            "ratios": ratios("TransformerLens + SAELens", "whole-dictionary capture"),
        },
    }


def _model(root: Path, threads: int) -> LoadedModel:
    torch.manual_seed(0)
    folder = root / "gpt2"
    GPT2LMHeadModel(GPT2Config()).save_pretrained(folder)
    train_tokenizer().save_pretrained(folder)
    resolved = resolve_checkpoint(str(folder), None, roots=[root], cache=root / "cache")
    return load_model(resolved, detect_numerics("float32", "sdpa", "cpu", threads, resolved))


def _corpus(tokens: int) -> TokenizedCorpus:
    """Documents of 64 to 256 random tokens: text would add nothing to the work."""
    rng = np.random.default_rng(0)
    lengths: list[int] = []
    while sum(lengths) < tokens:
        lengths.append(min(int(rng.integers(64, SEQUENCE + 1)), tokens - sum(lengths)))
    position = np.concatenate([np.arange(length) for length in lengths]).astype(np.int32)
    return TokenizedCorpus(
        ids=rng.integers(0, 50257, tokens).astype(np.int32),
        start=position,
        end=position + 1,
        special=np.zeros(tokens, dtype=np.bool_),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        document=np.arange(len(lengths), dtype=np.int32),
        documents=len(lengths),
        split_documents=0,
        sequence_length=SEQUENCE,
        tokenizer_digest="random",
    )


def _padded(
    corpus: TokenizedCorpus, batches: BatchPlan, batch: int
) -> tuple[torch.Tensor, torch.Tensor]:
    rows = [corpus.ids[corpus.offsets[s] : corpus.offsets[s + 1]] for s in batches.sequences(batch)]
    ids = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
    mask = np.zeros_like(ids)
    for at, row in enumerate(rows):
        ids[at, : len(row)], mask[at, : len(row)] = row, 1
    return torch.from_numpy(ids), torch.from_numpy(mask)


def _bare_forward(model: LoadedModel, corpus: TokenizedCorpus, batches: BatchPlan) -> Any:
    """A function that yields the site's real tokens batch by batch and does nothing else."""
    block = bind_site(model.module, parse_site(SITE)).module

    def run(stop_batch: int) -> Any:
        for batch in range(stop_batch):
            ids, mask = _padded(corpus, batches, batch)
            caught: list[torch.Tensor] = []

            def stop(_module: Any, _args: Any, output: Any, caught: Any = caught) -> None:
                caught.append(output)
                raise _StopForwardError

            handle = block.register_forward_hook(stop)
            with torch.inference_mode():
                try:
                    model.module(input_ids=ids, attention_mask=mask, use_cache=False)
                except _StopForwardError:
                    yield caught[0][mask.bool()]
                finally:
                    handle.remove()

    return run


def save_sae(folder: Path, activations: torch.Tensor) -> Path:
    """A random JumpReLU SAE whose thresholds let about `L0` latents through at a token."""
    torch.manual_seed(1)
    sae = JumpReLUSAE(JumpReLUSAEConfig(d_in=WIDTH, d_sae=LATENTS))
    sae.cfg.metadata.hook_name = SITE
    with torch.no_grad():
        sae.W_enc.normal_(std=WIDTH**-0.5)
        before = activations[:512] @ sae.W_enc
        sae.threshold.copy_(before.quantile(1 - L0 / LATENTS, dim=0).clamp_min(1e-3))
    sae.save_model(folder)
    return folder


def _transformer_lens(
    model: LoadedModel, corpus: TokenizedCorpus, batches: BatchPlan, sae: Any
) -> Callable[[int], None]:
    from transformer_lens.model_bridge import TransformerBridge

    full = GPT2LMHeadModel.from_pretrained(model.resolved.path, attn_implementation="eager")
    full.config.architectures = ["GPT2LMHeadModel"]
    bridge = TransformerBridge.boot_transformers(
        "gpt2", hf_model=full, tokenizer=train_tokenizer(), device="cpu"
    )

    def run(stop_batch: int) -> None:
        with torch.inference_mode():
            for batch in range(stop_batch):
                ids, mask = _padded(corpus, batches, batch)
                _, cache = bridge.run_with_cache(
                    ids,
                    attention_mask=mask,
                    names_filter=[SITE],
                    stop_at_layer=7,
                    return_type=None,
                )
                sae.encode(cache[SITE][mask.bool()])

    return run


if __name__ == "__main__":
    main()
