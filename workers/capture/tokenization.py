"""A corpus as tokens: frozen arrays, each token with its character span in its document."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from workers.capture.checkpoints import ResolvedCheckpoint
from workers.capture.isolation import blamed
from workers.errors import EvaluationError

_DOCUMENTS_AT_ONCE = 512


@dataclass(frozen=True)
class TokenizedCorpus:
    """N tokens in S sequences of M documents.

    A document longer than the sequence length stands in several consecutive sequences. Special
    tokens that the tokenizer adds (BOS, CLS, SEP) have an empty span.
    """

    ids: NDArray[np.int32]
    """[N] token ids."""
    start: NDArray[np.int32]
    """[N] first character of the token in its document."""
    end: NDArray[np.int32]
    """[N] one past its last character."""
    special: NDArray[np.bool_]
    """[N] whether the tokenizer added the token."""
    offsets: NDArray[np.int64]
    """[S+1] where each sequence begins in the token arrays."""
    document: NDArray[np.int32]
    """[S] index of each sequence's document."""
    documents: int
    split_documents: int
    """Documents that needed more than one sequence."""
    sequence_length: int
    tokenizer_digest: str

    def __post_init__(self) -> None:
        for array in (self.ids, self.start, self.end, self.special, self.offsets, self.document):
            array.flags.writeable = False

    @property
    def lengths(self) -> NDArray[np.int64]:
        """[S] tokens of each sequence, special ones included."""
        return np.diff(self.offsets)

    @property
    def tokens(self) -> int:
        """Tokens of the corpus, special ones included."""
        return len(self.ids)

    def to_bytes(self) -> bytes:
        """The corpus as a safetensors file; the same corpus gives the same bytes."""
        facts = {
            "documents": self.documents,
            "split_documents": self.split_documents,
            "sequence_length": self.sequence_length,
            "tokenizer_digest": self.tokenizer_digest,
        }
        arrays = {
            "ids": self.ids,
            "start": self.start,
            "end": self.end,
            "special": self.special,
            "offsets": self.offsets,
            "document": self.document,
        }
        # One metadata entry: safetensors keeps several in no fixed order.
        return save(arrays, metadata={"corpus": json.dumps(facts, sort_keys=True)})

    @classmethod
    def from_bytes(cls, data: bytes) -> "TokenizedCorpus":
        """Read what `to_bytes` wrote."""
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        facts: dict[str, Any] = json.loads(header["__metadata__"]["corpus"])
        arrays: dict[str, Any] = load(data)
        return cls(**arrays, **facts)


def tokenize_corpus(
    documents: Sequence[str], resolved: ResolvedCheckpoint, sequence_length: int
) -> TokenizedCorpus:
    """Tokenize a corpus with a checkpoint's own tokenizer.

    Args:
        documents: the texts, in the corpus's order.
        sequence_length: longest sequence in tokens, special ones included.

    Raises:
        EvaluationError: the corpus or a document is empty, the sequence length does not fit the
            checkpoint, or the tokenizer knows more tokens than the model.
    """
    if not documents:
        raise EvaluationError("corpus_empty", "the corpus has no documents")
    tokenizer = resolved.load_tokenizer()
    added = tokenizer.num_special_tokens_to_add(pair=False)
    if sequence_length > resolved.context_length:
        raise EvaluationError(
            "sequence_too_long",
            f"sequence length {sequence_length} is over the {resolved.context_length} tokens that "
            f"{resolved.source!r} can read; set sequence_length to at most that",
        )
    if sequence_length <= added:
        raise EvaluationError(
            "sequence_too_short",
            f"sequence length {sequence_length} leaves no room beside {added} special tokens",
        )
    encodings: list[tuple[int, Any]] = []
    for first in range(0, len(documents), _DOCUMENTS_AT_ONCE):
        with blamed("tokenizer_unsupported", f"{resolved.source!r} does not tokenize the corpus"):
            encoded = tokenizer(
                list(documents[first : first + _DOCUMENTS_AT_ONCE]),
                truncation=True,
                max_length=sequence_length,
                stride=0,
                padding=False,
                return_overflowing_tokens=True,
                return_offsets_mapping=True,
                return_special_tokens_mask=True,
                verbose=False,
            )
        origin = encoded["overflow_to_sample_mapping"]
        encodings.extend(
            (first + sample, encoding)
            for sample, encoding in zip(origin, encoded.encodings, strict=True)
        )
    corpus = _assemble(encodings, len(documents), sequence_length, resolved.tokenizer_digest)
    _check_text(corpus, documents, resolved.source)
    if (highest := int(corpus.ids.max())) >= resolved.vocabulary:
        raise EvaluationError(
            "vocabulary_mismatch",
            f"the tokenizer of {resolved.source!r} gives token id {highest}, but the model has "
            f"{resolved.vocabulary} embeddings; the tokenizer belongs to another checkpoint",
        )
    return corpus


def _assemble(
    encodings: Iterable[tuple[int, Any]], documents: int, sequence_length: int, digest: str
) -> TokenizedCorpus:
    ids, spans, special, lengths, owners = [], [], [], [], []
    for document, encoding in encodings:
        ids.append(np.asarray(encoding.ids, dtype=np.int32))
        spans.append(np.asarray(encoding.offsets, dtype=np.int32).reshape(-1, 2))
        special.append(np.asarray(encoding.special_tokens_mask, dtype=np.bool_))
        lengths.append(len(encoding.ids))
        owners.append(document)
    span = np.concatenate(spans)
    added = np.concatenate(special)
    span[added] = 0
    owner = np.asarray(owners, dtype=np.int32)
    return TokenizedCorpus(
        ids=np.concatenate(ids),
        start=np.ascontiguousarray(span[:, 0]),
        end=np.ascontiguousarray(span[:, 1]),
        special=added,
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        document=owner,
        documents=documents,
        split_documents=int((np.bincount(owner, minlength=documents) > 1).sum()),
        sequence_length=sequence_length,
        tokenizer_digest=digest,
    )


def _check_text(corpus: TokenizedCorpus, documents: Sequence[str], source: str) -> None:
    """Every document must give at least one token of its own text."""
    owner = np.repeat(corpus.document, corpus.lengths)
    counts = np.bincount(owner[~corpus.special], minlength=corpus.documents)
    if not counts.all():
        empty = int(np.flatnonzero(counts == 0)[0])
        raise EvaluationError(
            "document_empty",
            f"document {empty} gives no tokens under the tokenizer of {source!r}: "
            f"{documents[empty][:40]!r}; leave it out of the corpus, or check the tokenizer",
        )
