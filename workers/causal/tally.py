"""The sums of a measurement, document by document."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workers.causal.measurement import CausalMeasurement
from workers.causal.sketch import VocabularySketch

ArmKey = tuple[int, str, int, int]
"""Feature, kind, random direction, measured tokens."""

_BLOCK = 1 << 18
"""Logits compared at once on CPU: 1 MiB in float32."""


class Tally:
    """Adds up KL, loss and shifted logits over tokens, per feature and document."""

    def __init__(
        self,
        owner: NDArray[np.int32],
        steered: NDArray[np.int32],
        features: int,
        directions: int,
        seed: int,
        documents: int,
    ) -> None:
        """An empty tally.

        Args:
            owner: document of each sequence of the sample.
            steered: documents that are steered.
            directions: random directions per feature.
            documents: of the corpus.
        """
        self._documents = np.unique(owner).astype(np.int64)
        self._steered_documents = np.sort(steered).astype(np.int64)
        self._column = np.full(documents, -1)
        self._column[self._documents] = np.arange(len(self._documents))
        self._steered_column = np.full(documents, -1)
        self._steered_column[self._steered_documents] = np.arange(len(self._steered_documents))
        shape = (features, len(self._documents))
        self._flat = {
            name: np.zeros(shape)
            for name in ("tokens", "kl", "loss", "inactive_tokens", "inactive_kl", "inactive_loss")
        }
        cube = (features, directions, len(self._documents))
        self._random = {"random_kl": np.zeros(cube), "random_loss": np.zeros(cube)}
        self._seed = seed
        self._sketch: VocabularySketch | None = None
        self._vocabulary = 0
        self._steered = np.zeros((features, len(self._steered_documents), 0))
        self._steered_tokens = np.zeros((features, len(self._steered_documents)))

    def add(
        self,
        document: int,
        arms: Sequence[ArmKey],
        base: Tensor,
        edited: Tensor,
        match: Tensor,
        target: Tensor,
    ) -> None:
        """Add the rows of one forward pass.

        Args:
            arms: one per edited row.
            base: float32 [B, V] logits of the unedited row.
            edited: float32 [T, V] logits of the edited rows, row after row.
            match: int64 [T] the row of `base` at the same token.
            target: int64 [T] the token that comes next.
        """
        kl, loss = _compare(base, edited, match, target)
        column, at = int(self._column[document]), 0
        for feature, kind, direction, tokens in arms:
            rows = slice(at, at + tokens)
            at += tokens
            if kind == "steered":
                self._steer(feature, document, edited[rows] - base[match[rows]])
                continue
            sums = float(kl[rows].sum()), float(loss[rows].sum())
            if kind == "random":
                self._random["random_kl"][feature, direction, column] += sums[0]
                self._random["random_loss"][feature, direction, column] += sums[1]
                continue
            prefix = "inactive_" if kind == "inactive" else ""
            for name, value in zip(("tokens", "kl", "loss"), (tokens, *sums), strict=True):
                self._flat[prefix + name][feature, column] += value

    def _steer(self, feature: int, document: int, shift: Tensor) -> None:
        total = shift.sum(dim=0).double().cpu().numpy()
        if self._sketch is None:
            self._vocabulary = len(total)
            self._sketch = VocabularySketch(self._vocabulary, self._seed)
            self._steered = np.zeros((*self._steered.shape[:2], self._sketch.width))
        column = int(self._steered_column[document])
        self._steered[feature, column] += self._sketch(total - total.mean())
        self._steered_tokens[feature, column] += len(shift)

    def measurement(
        self,
        *,
        features: tuple[str, ...],
        measured: Sequence[str],
        facts: Mapping[str, Mapping[str, Any]],
        settings: Mapping[str, Any],
        tokenizer_digest: str,
        sample_digest: str,
    ) -> CausalMeasurement:
        """The sums, with rows of zeros for features that were not measured.

        Args:
            features: all features, in the definitions' order.
            measured: those that this tally has rows for, in its order.
        """
        rows = np.array([features.index(name) for name in measured], dtype=np.int64)

        def spread(array: NDArray[Any]) -> NDArray[Any]:
            result = np.zeros((len(features), *array.shape[1:]), dtype=array.dtype)
            result[rows] = array
            return result

        return CausalMeasurement(
            features=features,
            facts=facts,
            settings=settings,
            tokenizer_digest=tokenizer_digest,
            sample_digest=sample_digest,
            vocabulary=self._vocabulary,
            documents=self._documents,
            steered_documents=self._steered_documents,
            steered=spread(self._steered.astype(np.float32)),
            steered_tokens=spread(self._steered_tokens),
            **{name: spread(array) for name, array in (self._flat | self._random).items()},
        )


def _compare(
    base: Tensor, edited: Tensor, match: Tensor, target: Tensor
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """KL(base ‖ edited) and the change of the next token's loss, in nats, at each token."""
    p_all = torch.log_softmax(base, dim=-1)
    # On CPU, blocks that stay in the cache; each token's figures are its own.
    entries = len(edited) * edited.shape[1] if edited.is_cuda else _BLOCK
    rows = max(entries // edited.shape[1], 1)
    kl, loss = [], []
    for first in range(0, len(edited), rows):
        block = slice(first, first + rows)
        p = p_all.index_select(0, match[block])
        change = p - torch.log_softmax(edited[block], dim=-1)
        loss.append(change.gather(1, target[block, None])[:, 0])
        kl.append(p.exp_().mul_(change).sum(dim=-1, dtype=torch.float64))
    return torch.cat(kl).cpu().numpy(), torch.cat(loss).double().cpu().numpy()
