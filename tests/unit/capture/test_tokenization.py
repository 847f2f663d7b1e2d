"""Tokens keep their place in the document, in windows that lose nothing."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tests.support.models import CONTEXT, TEXTS
from workers.capture.checkpoints import ResolvedCheckpoint
from workers.capture.tokenization import TokenizedCorpus, tokenize_corpus
from workers.errors import EvaluationError

Checkpoint = Callable[[str], ResolvedCheckpoint]


@pytest.mark.parametrize("family", ["llama", "bert"])
@pytest.mark.parametrize("length", [7, 32, CONTEXT])
def test_windows_hold_the_tokens_of_the_whole_document(
    family: str, length: int, checkpoint: Checkpoint
) -> None:
    resolved = checkpoint(family)
    corpus = tokenize_corpus(TEXTS, resolved, length)
    tokenizer = resolved.load_tokenizer()
    owner = np.repeat(corpus.document, corpus.lengths)
    assert corpus.lengths.max() <= length
    for at, text in enumerate(TEXTS):
        own = (owner == at) & ~corpus.special
        whole = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        assert corpus.ids[own].tolist() == whole["input_ids"]
        spans = list(zip(corpus.start[own].tolist(), corpus.end[own].tolist(), strict=True))
        assert spans == [tuple(span) for span in whole["offset_mapping"]]
        assert spans[-1][1] == len(text)
    counts = np.bincount(corpus.document)
    assert corpus.split_documents == (counts > 1).sum()


def test_every_window_of_an_encoder_has_its_special_tokens(checkpoint: Checkpoint) -> None:
    corpus = tokenize_corpus(TEXTS, checkpoint("bert"), 16)
    for first, stop in zip(corpus.offsets, corpus.offsets[1:], strict=False):
        assert corpus.ids[first] == 1
        assert corpus.ids[stop - 1] == 2
        assert np.flatnonzero(corpus.special[first:stop]).tolist() == [0, stop - first - 1]
    assert (corpus.start[corpus.special] == corpus.end[corpus.special]).all()


def test_a_stored_corpus_comes_back_the_same_and_cannot_be_changed(checkpoint: Checkpoint) -> None:
    corpus = tokenize_corpus(TEXTS, checkpoint("llama"), 32)
    data = corpus.to_bytes()
    again = TokenizedCorpus.from_bytes(data)
    assert again.to_bytes() == data
    np.testing.assert_array_equal(again.ids, corpus.ids)
    assert (again.documents, again.tokenizer_digest) == (len(TEXTS), corpus.tokenizer_digest)
    with pytest.raises(ValueError, match="read-only"):
        again.ids[0] = 1


@pytest.mark.parametrize(
    ("documents", "length", "code", "reason"),
    [
        ([], 32, "corpus_empty", "no documents"),
        (
            ["text", ""],
            32,
            "document_empty",
            "document 1 gives no tokens under the tokenizer of .*: ''",
        ),
        (["text"], CONTEXT + 1, "sequence_too_long", f"over the {CONTEXT} tokens"),
        (["text"], 2, "sequence_too_short", "beside 2 special tokens"),
    ],
)
def test_a_corpus_that_cannot_be_read_is_refused(
    documents: list[str], length: int, code: str, reason: str, checkpoint: Checkpoint
) -> None:
    with pytest.raises(EvaluationError, match=reason) as failure:
        tokenize_corpus(documents, checkpoint("bert"), length)
    assert failure.value.code == code


def test_a_tokenizer_of_another_model_is_refused(checkpoint: Checkpoint) -> None:
    small = replace(checkpoint("llama"), vocabulary=100)
    with pytest.raises(EvaluationError, match="the model has 100 embeddings") as failure:
        tokenize_corpus(TEXTS, small, 32)
    assert failure.value.code == "vocabulary_mismatch"
