"""From registered definitions to the material: the loaders and the capture that evaluations use."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.core.artifacts import ArtifactStore
from app.core.digests import sha256_bytes
from app.core.errors import InvalidInputError
from app.registry.documents import Document, parse_jsonl, to_jsonl
from app.registry.tables import Checkpoint, Dictionary
from app.registry.units import units_of_inference
from app.settings import Settings
from workers.capture.activations import sample_sequences
from workers.capture.batches import BatchPlan, plan_batches
from workers.capture.checkpoints import ResolvedCheckpoint
from workers.capture.loading import load_model
from workers.capture.numerics import detect_numerics
from workers.capture.run import capture_batches
from workers.capture.tokenization import TokenizedCorpus, tokenize_corpus
from workers.comparison.corpus import overlaps
from workers.errors import EvaluationError
from workers.features.dictionaries import DictionarySource
from workers.features.plan import FeaturePlan
from workers.pipeline.sources import CheckpointSources, DictionarySources
from workers.suggest.material import Material
from workers.suggest.request import Request

Step = Callable[[str, int, int], None]
"""Told (step, done, of so many)."""


@dataclass(frozen=True)
class Reading:
    """What was read, and of what."""

    material: Material
    dictionary: DictionarySource
    facts: dict[str, Any]
    """Digests, counts and figures, as plain JSON values."""

    def decoder(self, latents: NDArray[np.intp]) -> NDArray[np.float32] | None:
        """[latents, width] rows of the decoder; None where the dictionary has none."""
        weights = self.dictionary.tensors().get("W_dec")
        if weights is None or weights.ndim != 2 or len(weights) != self.dictionary.d_sae:
            return None
        return np.asarray(weights[latents].float().numpy(), np.float32)


def read(request: Request, settings: Settings, step: Step) -> Reading:
    """Load what is registered, run the model over the corpus, and line up labels and latents.

    Raises:
        EvaluationError: something is missing, damaged, not what was registered, or does not fit.
    """
    documents = _documents(request, settings)
    cache = settings.data_dir.resolve() / "cache"
    where: dict[str, Any] = {
        "roots": settings.allowed_roots,
        "cache": cache,
        "allow_hub": settings.allow_hub,
    }
    step("reading the checkpoint", 0, 1)
    checkpoint = _row(Checkpoint, request.checkpoint)
    resolved = CheckpointSources(**where).resolve(checkpoint)
    store = ArtifactStore(settings.artifacts, cache / "artifacts", settings.artifact_cache_bytes)
    dictionary = DictionarySources(**where, store=store).find(_row(Dictionary, request.dictionary))
    length = min(settings.sequence_length, resolved.context_length)
    tokens = tokenize_corpus([document.text for document in documents], resolved, length)
    material, facts = _capture(request, settings, resolved, dictionary, tokens, documents, step)
    return Reading(
        material,
        dictionary,
        {
            "weights_digest": resolved.weights_digest,
            "tokenizer_digest": resolved.tokenizer_digest,
            "dictionary_digest": dictionary.digest,
            "corpus_digest": request.corpus.digest,
            "sequence_length": length,
            **facts,
        },
    )


def _row(table: type[Any], answered: Any) -> Any:
    """A row as the worker's loaders take it, of no session, from what the API answers."""
    columns = {column.key for column in table.__table__.columns}
    return table(
        **{key: getattr(answered, key) for key in type(answered).model_fields if key in columns}
    )


def _documents(request: Request, settings: Settings) -> list[Document]:
    corpus = request.corpus
    key = f"corpora/{corpus.digest}/documents.jsonl"
    try:
        if request.documents is not None:
            data = request.documents.read_bytes()
        else:
            data = ArtifactStore(settings.artifacts).read_bytes(key)
        documents = parse_jsonl(data)
    except OSError as error:
        place = request.documents or f"{settings.artifacts}/{key}"
        raise EvaluationError(
            "corpus_missing",
            f"the documents of corpus {corpus.name!r} are not at {place} "
            f"({error.strerror or 'nothing there'}); set FEATUREDRIFT_ARTIFACT_URL (or "
            "FEATUREDRIFT_DATA_DIR) as the API has it, or give the JSON Lines file by --documents",
        ) from error
    except InvalidInputError as error:
        raise EvaluationError("corpus_damaged", error.detail) from error
    found = sha256_bytes(to_jsonl(documents))
    if found != corpus.digest:
        raise EvaluationError(
            "corpus_changed",
            f"the documents have digest {found}, but corpus {corpus.name!r} was registered with "
            f"{corpus.digest}; give just the documents that were registered, with their variants",
        )
    return documents


def _capture(
    request: Request,
    settings: Settings,
    resolved: ResolvedCheckpoint,
    dictionary: DictionarySource,
    tokens: TokenizedCorpus,
    documents: list[Document],
    step: Step,
) -> tuple[Material, dict[str, Any]]:
    plan, sequences = _plan(tokens, request.tokens, settings.batch_tokens)
    numerics = detect_numerics(
        settings.dtype, settings.attn_implementation, request.device, settings.threads, resolved
    )
    step("loading the model", 0, 1)
    model = load_model(resolved, numerics)
    captured = capture_batches(
        model,
        tokens,
        plan,
        0,
        plan.batches,
        FeaturePlan.whole_dictionary(dictionary),
        lambda done, total: step("capturing", done, total),
        activation_sequences=sequences,
    )
    if captured.activations is None:
        raise ValueError("activations were asked for, but none were kept")
    content = captured.content
    # Where each captured token stands in the corpus; its order is the one that shifts go by.
    position = np.concatenate(
        [np.arange(tokens.offsets[s], tokens.offsets[s + 1]) for s in plan.order]
    )
    kept = np.flatnonzero(content.flags == 0)
    rows = kept[np.argsort(position[kept])]
    at = position[rows]
    latents = csr_array(
        (content.values, content.indices, content.indptr), shape=(len(position), dictionary.d_sae)
    )
    document = content.document[rows]
    units = np.asarray(units_of_inference(documents), np.int64)
    material = Material(
        cluster=units[document],
        sequence=np.repeat(np.arange(len(tokens.document)), tokens.lengths)[at],
        keys=tokens.ids[at].astype(np.int64),
        latents=csr_array(latents[rows]),
        site=captured.activations.x[dictionary.site][rows],
        labels={
            concept: overlaps(
                [one.labels.get(concept, ()) for one in documents],
                document,
                content.start[rows],
                content.end[rows],
            )
            for concept in request.concepts
        },
    )
    health = captured.health[dictionary.name].finalise()
    facts = {
        "documents": len(documents),
        "documents_read": len(np.unique(document)),
        "corpus_tokens": tokens.tokens,
        "site": dictionary.site,
        "fvu": health["fvu"],
        "numerics": numerics.to_json(),
    }
    return material, facts


def _plan(
    tokens: TokenizedCorpus, budget: int, batch_tokens: int
) -> tuple[BatchPlan, NDArray[np.bool_]]:
    """Batches of the sequences that are read, and which those are.

    Of a corpus beyond the budget, a sequence of each document goes before the second of any.
    """
    chosen = sample_sequences(tokens, budget)
    sequences = np.flatnonzero(chosen)
    plan = plan_batches(tokens.lengths[sequences], batch_tokens)
    return replace(plan, order=sequences[plan.order]), chosen
