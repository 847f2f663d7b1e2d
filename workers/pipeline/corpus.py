"""The probe corpus: its documents, and its tokens for one tokenizer, made once and stored."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.core.digests import sha256_bytes, sha256_json
from app.core.errors import InvalidInputError
from app.registry.documents import Document, parse_jsonl
from app.registry.tables import Corpus
from app.registry.units import units_of_inference
from workers.capture.batches import plan_batches
from workers.capture.checkpoints import ResolvedCheckpoint
from workers.capture.tokenization import TokenizedCorpus, tokenize_corpus
from workers.comparison import CorpusLabels
from workers.errors import EvaluationError
from workers.pipeline.context import Context

_FORMAT = 1


def documents_of(context: Context, corpus: Corpus) -> list[Document]:
    """The documents of a corpus, in order.

    Raises:
        EvaluationError: the artifact is gone, damaged, or not what was registered.
    """
    try:
        data = context.store.read_bytes(corpus.artifact_key)
        documents = parse_jsonl(data)
    except FileNotFoundError:
        raise EvaluationError(
            "corpus_missing",
            f"the documents of corpus {corpus.name!r} ({corpus.artifact_key}) are not in the "
            "artifact store; do API and workers use the same FEATUREDRIFT_ARTIFACT_URL?",
        ) from None
    except InvalidInputError as error:
        raise EvaluationError(
            "corpus_damaged", f"corpus {corpus.name!r} in the artifact store: {error.detail}"
        ) from error
    found = sha256_bytes(data)
    if found != corpus.digest:
        raise EvaluationError(
            "corpus_changed",
            f"the documents of corpus {corpus.name!r} in the artifact store have digest {found}, "
            f"and {corpus.digest} was registered; put the right file back at "
            f"{corpus.artifact_key}, or register what is there as another corpus",
        )
    return documents


def labels_of(context: Context, corpus: Corpus, *, with_texts: bool) -> CorpusLabels:
    """The corpus as the statistics see it: units of inference and labelled spans.

    Args:
        with_texts: also the texts, which only an alignment of two tokenizers needs.

    Raises:
        EvaluationError: the artifact is gone or damaged.
    """
    documents = documents_of(context, corpus)
    return CorpusLabels(
        groups=np.asarray(units_of_inference(documents), dtype=np.int64),
        labels={
            concept: [document.labels.get(concept, ()) for document in documents]
            for concept in corpus.concepts
        },
        texts=[document.text for document in documents] if with_texts else None,
        variants=variants_of(documents),
    )


def variants_of(documents: Sequence[Document]) -> list[tuple[int, int, str]]:
    """Index of the original, index of its variant, and how the variant differs.

    A variant with the very text of its original perturbs nothing: every feature survives it.
    """
    index = {document.id: at for at, document in enumerate(documents)}
    return [
        (index[document.variant_of], at, document.perturbation or "variant")
        for at, document in enumerate(documents)
        if document.variant_of is not None
        and document.text != documents[index[document.variant_of]].text
    ]


def token_ids(context: Context, tokens_key: str, batch_tokens: int) -> NDArray[np.int32]:
    """[tokens] token ids in the order in which a snapshot holds them.

    Args:
        tokens_key: of the snapshot's plan.
        batch_tokens: of the snapshot's inputs; the batch plan follows from both.

    Raises:
        EvaluationError: the tokens are gone or damaged.
    """
    tokens = load_tokens(context, tokens_key)
    order = plan_batches(tokens.lengths, batch_tokens).order
    spans = [np.arange(tokens.offsets[s], tokens.offsets[s + 1]) for s in order]
    return tokens.ids[np.concatenate(spans)]


def tokens_of(
    context: Context, corpus: Corpus, resolved: ResolvedCheckpoint, sequence_length: int
) -> tuple[str, TokenizedCorpus]:
    """The corpus as a checkpoint's tokenizer cuts it, and the artifact key where it lies.

    Raises:
        EvaluationError: the corpus is missing or cannot be tokenized.
    """
    digest = sha256_json(
        {
            "format": _FORMAT,
            "corpus_digest": corpus.digest,
            "tokenizer_digest": resolved.tokenizer_digest,
            "sequence_length": sequence_length,
            # A tokenizer may know more tokens than one of the models that share it has embeddings.
            "vocabulary": resolved.vocabulary,
        }
    )
    key = f"tokens/{digest}.safetensors"
    try:
        return key, load_tokens(context, key)
    except EvaluationError:
        texts = [document.text for document in documents_of(context, corpus)]
        tokens = tokenize_corpus(texts, resolved, sequence_length)
        context.store.write_bytes(key, tokens.to_bytes())
        return key, tokens


def load_tokens(context: Context, key: str) -> TokenizedCorpus:
    """Tokens that a plan has stored.

    Raises:
        EvaluationError: they are gone or damaged.
    """
    try:
        return TokenizedCorpus.from_bytes(context.store.read_bytes(key))
    except FileNotFoundError:
        raise EvaluationError(
            "tokens_missing", f"{key} is not in the artifact store; retry the evaluation"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise EvaluationError(
            "tokens_damaged", f"{key} cannot be read ({error}); delete it and retry the evaluation"
        ) from error
