"""Raw activations of some whole sequences, kept beside the feature values of a snapshot."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workers.capture.tokenization import TokenizedCorpus
from workers.features.health import splitmix
from workers.snapshots.format import ActivationContent


def sample_sequences(tokens: TokenizedCorpus, budget_tokens: int) -> NDArray[np.bool_]:
    """Which sequences of a corpus keep their raw activations: [sequences].

    One sequence of each document joins before the second of any, because documents are the unit of
    inference; within a turn in the order of a hash of their index, until the budget is reached, the
    last of them whole. Checkpoints with one tokenizer keep the same tokens, and a smaller budget
    keeps a part of what a larger one does.

    Args:
        budget_tokens: tokens to keep, special ones included; 0 for none.

    Raises:
        ValueError: the budget is negative.
    """
    if budget_tokens < 0:
        raise ValueError(f"a budget of {budget_tokens} tokens; give 0 or more")
    lengths = tokens.lengths
    key = splitmix(np.arange(len(lengths), dtype=np.uint64))
    by_document = np.lexsort((key, tokens.document))
    starts = np.flatnonzero(np.diff(tokens.document[by_document], prepend=-1))
    sizes = np.diff(starts, append=len(by_document))
    turn = np.empty(len(lengths), np.int64)
    turn[by_document] = np.arange(len(by_document)) - np.repeat(starts, sizes)
    order = np.lexsort((key, turn))
    before = np.cumsum(lengths[order]) - lengths[order]
    kept = np.zeros(len(lengths), np.bool_)
    kept[order[before < budget_tokens]] = True
    return kept


class ActivationKeeper:
    """Collects the raw activations of some tokens, batch after batch, as float32 on the host.

    On a GPU the copies run beside the computation: a batch is only waited for when the next one
    has been added, or at the end.
    """

    def __init__(self, widths: Mapping[str, int], device: torch.device) -> None:
        self._device = device
        self._offset = 0
        self._rows: list[NDArray[np.int64]] = []
        self._kept: dict[str, list[NDArray[np.float32]]] = {
            site: [np.zeros((0, width), np.float32)] for site, width in widths.items()
        }
        self._pending: tuple[Mapping[str, Tensor], Any] | None = None

    def add(self, activations: Mapping[str, Tensor], kept: NDArray[np.bool_]) -> None:
        """Take over one batch.

        Args:
            activations: of each site [T, width].
            kept: [T] the tokens to keep.
        """
        rows = np.flatnonzero(kept)
        self._rows.append(rows + self._offset)
        self._offset += len(kept)
        if len(rows) == 0:
            return
        gpu = self._device.type == "cuda"
        index = torch.from_numpy(rows)
        if gpu:
            index = index.pin_memory().to(self._device, non_blocking=True)
        moved = {
            site: activations[site]
            .index_select(0, index)
            .to(torch.float32)
            .to("cpu", non_blocking=gpu)
            for site in self._kept
        }
        done = None
        if gpu:
            done = torch.cuda.Event()
            done.record()
        self._drain()
        self._pending = (moved, done)

    def content(self) -> ActivationContent:
        """All that was kept; rows count the tokens of the batches added so far."""
        self._drain()
        return ActivationContent(
            np.concatenate([np.zeros(0, np.int64), *self._rows]),
            {site: _joined(parts) for site, parts in self._kept.items()},
        )

    def _drain(self) -> None:
        if self._pending is None:
            return
        moved, done = self._pending
        if done is not None:
            done.synchronize()
        for site, value in moved.items():
            # A copy where memory is pinned: that is a scarce kind of memory.
            array = value.numpy()
            self._kept[site].append(array.copy() if done is not None else array)
        self._pending = None


def _joined(parts: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    return np.ascontiguousarray(np.concatenate(parts))
