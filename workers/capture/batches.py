"""The batch plan: from the corpus alone, so that no number depends on workers or shards."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from app.core.digests import sha256_json


@dataclass(frozen=True)
class BatchPlan:
    """Which sequences are computed together, in which order."""

    order: NDArray[np.int64]
    """[S] sequence indices, batch after batch."""
    offsets: NDArray[np.int64]
    """[B+1] where each batch begins in `order`."""
    tokens: NDArray[np.int64]
    """[B] real tokens of each batch."""
    batch_tokens: int

    @property
    def batches(self) -> int:
        """Number of batches."""
        return len(self.tokens)

    def sequences(self, batch: int) -> NDArray[np.int64]:
        """The sequence indices of one batch."""
        return self.order[self.offsets[batch] : self.offsets[batch + 1]]

    @property
    def digest(self) -> str:
        """The plan's identity: order and boundaries."""
        return sha256_json([self.order.tolist(), self.offsets.tolist()])


def plan_batches(lengths: ArrayLike, batch_tokens: int) -> BatchPlan:
    """Group sequences of similar length under a budget of tokens, padding included.

    Sequences are taken by length, ties by index, and join the current batch while its count times
    its longest sequence stays within the budget. A sequence over the budget stands alone.

    Args:
        lengths: [S] tokens of each sequence, at least 1 each.
        batch_tokens: budget of a batch: rows × longest row.

    Raises:
        ValueError: a length or the budget is below 1, or there are no sequences.
    """
    length = np.asarray(lengths, dtype=np.int64)
    if len(length) == 0 or length.min() < 1 or batch_tokens < 1:
        raise ValueError(f"nothing to plan: {len(length)} sequences, {batch_tokens=}")
    order = np.argsort(length, kind="stable")
    offsets = [0]
    for position, longest in enumerate(length[order].tolist()):
        rows = position - offsets[-1]
        if rows and (rows + 1) * longest > batch_tokens:
            offsets.append(position)
    offsets.append(len(order))
    return BatchPlan(
        order=order,
        offsets=np.asarray(offsets, dtype=np.int64),
        tokens=np.add.reduceat(length[order], offsets[:-1]),
        batch_tokens=batch_tokens,
    )


def partition(plan: BatchPlan, tokens_per_shard: int) -> list[tuple[int, int]]:
    """Cut a plan into shards of whole batches, each of about this many tokens.

    Returns:
        (first batch, stop batch) of each shard, half open, in order, covering the plan.

    Raises:
        ValueError: `tokens_per_shard` is below 1.
    """
    if tokens_per_shard < 1:
        raise ValueError(f"{tokens_per_shard=} must be at least 1")
    shards: list[tuple[int, int]] = []
    first, held = 0, 0
    for batch, tokens in enumerate(plan.tokens.tolist()):
        if batch > first and held + tokens > tokens_per_shard:
            shards.append((first, batch))
            first, held = batch, 0
        held += tokens
    shards.append((first, plan.batches))
    return shards
