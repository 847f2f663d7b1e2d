"""Tiny causal models that are made to do a known thing, and a corpus of many short documents."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.models import random_model, save_checkpoint, train_tokenizer
from workers.capture.checkpoints import ResolvedCheckpoint, resolve_checkpoint
from workers.capture.numerics import detect_numerics
from workers.capture.tokenization import TokenizedCorpus, tokenize_corpus
from workers.causal.head import ModelWithHead, load_with_head

Change = Callable[[Any], None]
MakeModel = Callable[..., ModelWithHead]

WORDS = ("def", "return", "class", "import", "self", "alpha", "beta", "x = 1", "# note", "näïve")


@pytest.fixture(scope="session")
def causal_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("causal")


@pytest.fixture(scope="session")
def resolve(causal_root: Path) -> Callable[[Path], ResolvedCheckpoint]:
    def run(path: Path) -> ResolvedCheckpoint:
        return resolve_checkpoint(str(path), None, roots=[causal_root], cache=causal_root / "cache")

    return run


@pytest.fixture(scope="session")
def checkpoint(
    causal_root: Path, resolve: Callable[[Path], ResolvedCheckpoint]
) -> Callable[[str], ResolvedCheckpoint]:
    @cache
    def make(family: str) -> ResolvedCheckpoint:
        return resolve(save_checkpoint(causal_root / family, family))

    return make


@pytest.fixture(scope="session")
def model(causal_root: Path, resolve: Callable[[Path], ResolvedCheckpoint]) -> MakeModel:
    """A random model of a family, changed by a function, saved and loaded with its head."""

    def make(
        family: str, change: Change | None = None, seed: int = 0, dtype: str = "float32"
    ) -> ModelWithHead:
        name = f"{family}-{seed}-{change.__name__ if change else 'plain'}"
        folder = causal_root / name
        if not folder.exists():
            network = random_model(family, seed)
            if change is not None:
                change(network)
            network.save_pretrained(folder)
            train_tokenizer().save_pretrained(folder)
        resolved = resolve(folder)
        return load_with_head(resolved, detect_numerics(dtype, "eager", "cpu", 1, resolved))

    return make


@pytest.fixture(scope="session")
def tokens(checkpoint: Callable[[str], ResolvedCheckpoint]) -> TokenizedCorpus:
    """40 documents of 10 to 30 words; the longer ones in several sequences."""
    rng = np.random.default_rng(3)
    documents = [" ".join(rng.choice(WORDS, size=10 + d % 21)) for d in range(40)]
    return tokenize_corpus(documents, checkpoint("llama"), sequence_length=24)
