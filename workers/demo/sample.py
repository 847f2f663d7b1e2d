"""Labelled tokens of some documents."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast

from app.registry.documents import Document
from workers.demo.corpus import CONCEPTS
from workers.demo.recipe import Recipe

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Sample:
    """Tokens of some documents, as windows.

    Attributes:
        rows: int64 [windows, context].
        labels: per concept bool [windows × context].
        document: int64 [windows × context] which of the documents each token belongs to.
    """

    rows: torch.Tensor
    labels: dict[str, Flags]
    document: NDArray[np.int64]


def sample(
    documents: Sequence[Document], tokenizer: PreTrainedTokenizerFast, recipe: Recipe
) -> Sample:
    """Tokenize and label: a token has a concept if its characters overlap one of its spans.

    The stream's last, incomplete window is dropped.
    """
    ids: list[int] = []
    flags: dict[str, list[Flags]] = {concept: [] for concept in CONCEPTS}
    owner: list[NDArray[np.int64]] = []
    encodings = tokenizer.backend_tokenizer.encode_batch([d.text for d in documents])
    for number, (document, encoding) in enumerate(zip(documents, encodings, strict=True)):
        ids.extend(encoding.ids)
        owner.append(np.full(len(encoding.ids), number, np.int64))
        offsets = np.asarray(encoding.offsets, dtype=np.int64).reshape(-1, 2)
        for concept in CONCEPTS:
            # covered[c] counts labelled characters before c: a token overlaps if its count grows.
            marks = np.zeros(len(document.text), dtype=np.int64)
            for start, end in document.labels.get(concept, ()):
                marks[start:end] = 1
            covered = np.concatenate([[0], np.cumsum(marks)])
            flags[concept].append(covered[offsets[:, 1]] > covered[offsets[:, 0]])
    usable = len(ids) // recipe.context * recipe.context
    return Sample(
        rows=torch.tensor(ids[:usable]).view(-1, recipe.context),
        labels={concept: np.concatenate(parts)[:usable] for concept, parts in flags.items()},
        document=np.concatenate(owner)[:usable],
    )


def halves(sample_: Sample) -> tuple[slice, slice]:
    """Token ranges of the fitting half and the held-out half: whole windows."""
    context = sample_.rows.shape[1]
    middle = len(sample_.rows) // 2 * context
    return slice(0, middle), slice(middle, sample_.rows.numel())
