"""The demo's trained model, its features, and snapshots of its variants without any server."""

import copy
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter
from rich.console import Console
from transformers import LlamaForCausalLM
from transformers.utils import logging

from app.core.artifacts import ArtifactStore
from app.registry.definitions import Composite, Feature, SaeLatent
from app.registry.documents import Document, parse_jsonl
from workers.capture.activations import sample_sequences
from workers.capture.batches import plan_batches
from workers.capture.checkpoints import ResolvedCheckpoint, resolve_checkpoint
from workers.capture.loading import LoadedModel, load_model
from workers.capture.numerics import detect_numerics
from workers.capture.run import capture_batches
from workers.capture.tokenization import tokenize_corpus
from workers.comparison import ComparisonResult, CorpusLabels, compare_snapshots
from workers.demo import model
from workers.demo.build import DICTIONARY, Built, build
from workers.demo.corpus import CONCEPTS
from workers.demo.progress import Steps
from workers.demo.recipe import Recipe
from workers.drift.pages import PageRequest
from workers.drift.policy import Policy
from workers.features.dictionaries import DictionarySource, load_dictionary
from workers.features.health import merge_health
from workers.features.plan import FeaturePlan
from workers.snapshots import SnapshotReader, finish, snapshot_key, write_shard

RECIPE = Recipe()
BATCH_TOKENS = 8192
_SEQUENCE = 512
_FEATURES: TypeAdapter[list[Feature]] = TypeAdapter(list[Feature])


def built(folder: Path, recipe: Recipe = RECIPE) -> Built:
    """The demo's pieces below a folder; what is missing is built (minutes).

    Raises:
        EvaluationError: this machine cannot build them, with the reason.
    """
    with Steps(Console(stderr=True)) as steps:
        return build(folder, recipe, steps)


@dataclass(frozen=True, eq=False)
class Line:
    """The base of the demo's line and what reads it."""

    pieces: Built
    recipe: Recipe

    @cached_property
    def resolved(self) -> ResolvedCheckpoint:
        """The base."""
        return self._resolve(self.pieces.checkpoints["base"])

    @cached_property
    def base(self) -> LoadedModel:
        """The base in memory, float32, one thread."""
        numerics = detect_numerics("float32", "sdpa", "cpu", 1, self.resolved)
        return load_model(self.resolved, numerics)

    @cached_property
    def features(self) -> dict[str, Feature]:
        """The demo's feature set, by name."""
        found = _FEATURES.validate_json(self.pieces.features.read_bytes())
        return {feature.name: feature for feature in found}

    @cached_property
    def documents(self) -> list[Document]:
        """The probe documents, which nothing was trained or chosen on."""
        return parse_jsonl(self.pieces.probe_documents.read_bytes())

    @cached_property
    def dictionary(self) -> DictionarySource:
        """The demo's dictionary."""
        return self.load_dictionary(DICTIONARY, self.pieces.dictionary)

    def load_dictionary(self, name: str, folder: Path) -> DictionarySource:
        """A dictionary in a folder."""
        path = folder.resolve()
        return load_dictionary(name, str(path), roots=[path.parent], cache=path.parent / "cache")

    def weights(self) -> LlamaForCausalLM:
        """A copy of the base with its head, to operate on."""
        return copy.deepcopy(self._weights)

    @cached_property
    def _weights(self) -> LlamaForCausalLM:
        return model.load(self.pieces.checkpoints["base"])

    def loaded(self, weights: LlamaForCausalLM) -> LoadedModel:
        """Changed weights as capture takes them."""
        return replace(self.base, module=weights.model.eval().requires_grad_(False))

    def draw_documents(self, rng: np.random.Generator, count: int) -> NDArray[np.intp]:
        """Indices of some probe documents; all but two where there are fewer than asked for."""
        total = len(self.documents)
        return np.sort(rng.permutation(total)[: min(count, total - 2)])

    def _resolve(self, folder: Path) -> ResolvedCheckpoint:
        path = folder.resolve()
        return resolve_checkpoint(str(path), None, roots=[path.parent], cache=path.parent / "cache")


@cache
def open_line(folder: Path, recipe: Recipe = RECIPE) -> Line:
    """The line below a folder, read once in each process."""
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    return Line(built(folder, recipe), recipe)


class Probe:
    """Some probe documents and features, on which variants of the base are captured."""

    def __init__(
        self,
        line: Line,
        documents: Sequence[int] | NDArray[np.intp],
        features: Mapping[str, Feature],
        dictionaries: Sequence[DictionarySource] = (),
        activation_tokens: int = 0,
    ) -> None:
        self.features = dict(features)
        self.concepts = {n: f.concept for n, f in features.items() if f.concept is not None}
        self.dictionaries = {one.name: one for one in (line.dictionary, *dictionaries)}
        texts = [line.documents[i] for i in documents]
        self.corpus = CorpusLabels(
            np.arange(len(texts)),
            {concept: [d.labels.get(concept, ()) for d in texts] for concept in CONCEPTS},
        )
        length = min(_SEQUENCE, line.resolved.context_length)
        self.tokens = tokenize_corpus([d.text for d in texts], line.resolved, length)
        self._plan = FeaturePlan.build(list(features.values()), self.dictionaries)
        self._kept = sample_sequences(self.tokens, activation_tokens) if activation_tokens else None

    @contextmanager
    def captured(
        self, loaded: LoadedModel, batch_tokens: int = BATCH_TOKENS
    ) -> Iterator[SnapshotReader]:
        """A snapshot of a model, for as long as it is needed."""
        with tempfile.TemporaryDirectory(prefix="featuredrift-calibration-") as folder:
            store = ArtifactStore(Path(folder).as_uri())
            inputs = {"tokenizer_digest": self.tokens.tokenizer_digest}
            key = snapshot_key(inputs)
            plan = plan_batches(self.tokens.lengths, batch_tokens)
            found = capture_batches(
                loaded,
                self.tokens,
                plan,
                0,
                plan.batches,
                self._plan,
                activation_sequences=self._kept,
            )
            write_shard(
                store,
                key,
                0,
                found.content,
                first_batch=0,
                stop_batch=plan.batches,
                extra_tensors=found.health_tensors(),
                activations=found.activations,
            )
            finish(
                store,
                key,
                inputs=inputs,
                columns=self._plan.columns,
                shards=1,
                documents=self.tokens.documents,
                split_documents=self.tokens.split_documents,
                merge_health=merge_health,
            )
            yield SnapshotReader(store, key)

    def compare(
        self,
        baseline: SnapshotReader,
        candidate: SnapshotReader,
        pages: PageRequest | None = None,
    ) -> ComparisonResult:
        """The service's own verdicts at its own margins, with no noise floor to raise them."""
        return compare_snapshots(
            baseline,
            candidate,
            self.corpus,
            Policy(),
            concepts=self.concepts,
            dictionaries={name: self._reads(name) for name in self.features if self._reads(name)},
            pages=pages,
        )

    def token_keys(self) -> NDArray[np.int32]:
        """[tokens] token ids in the order of a snapshot of the usual batches."""
        order = plan_batches(self.tokens.lengths, BATCH_TOKENS).order
        offsets = self.tokens.offsets
        found: NDArray[np.int32] = self.tokens.ids[
            np.concatenate([np.arange(offsets[s], offsets[s + 1]) for s in order])
        ]
        return found

    def _reads(self, name: str) -> frozenset[str]:
        feature = self.features[name]
        if isinstance(feature, Composite):
            return frozenset().union(*(self._reads(part.feature) for part in feature.components))
        return frozenset([feature.dictionary] if isinstance(feature, SaeLatent) else [])


@torch.no_grad()
def add_noise(weights: LlamaForCausalLM, share: float, rng: np.random.Generator) -> None:
    """Add Gaussian noise of a share of its own root mean square to every weight matrix."""
    generator = torch.Generator().manual_seed(int(rng.integers(1 << 31)))
    for parameter in weights.parameters():
        if parameter.ndim == 2:
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.add_(share * parameter.square().mean().sqrt() * noise)


@torch.no_grad()
def round_to_bfloat16(weights: LlamaForCausalLM) -> None:
    """Round every parameter to eight bits of mantissa; computation stays in float32."""
    for parameter in weights.parameters():
        parameter.copy_(parameter.bfloat16().float())


def facts(line: Line) -> str:
    """The trained model in a few words."""
    found = line.pieces.facts
    return (
        f"{found['parameters'] / 1e6:.1f} M parameters, loss {found['loss']:.2f} nats a token, "
        f"FVU {found['fvu']:.2f}"
    )
