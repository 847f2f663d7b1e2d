"""The no-op control: the same weights captured again must give the same bits."""

from dataclasses import dataclass

import numpy as np

from workers.snapshots import SnapshotReader

_CHUNK = 65536


@dataclass(frozen=True)
class NoOpResult:
    """How far a second capture of the same weights is from the first."""

    bit_equal: bool
    max_abs_difference: float
    """0 when bit-equal; infinite when the tokens themselves differ."""
    differing_values: int
    """Feature values that differ; a value stored on one side only differs."""
    tokens: int
    """Tokens compared."""


def identical(
    baseline: SnapshotReader,
    candidate: SnapshotReader,
    baseline_range: tuple[int, int] | None = None,
    candidate_range: tuple[int, int] | None = None,
) -> NoOpResult:
    """Compare two captures value by value, over all tokens or over a part of each.

    Args:
        baseline_range, candidate_range: tokens, half open; None for all. A second capture of a
            few batches is compared with `baseline.token_range(first_batch, stop_batch)`.

    Raises:
        EvaluationError: a snapshot is damaged.
        ValueError: the ranges differ in length or lie outside a snapshot.
    """
    a0, a1 = baseline_range or (0, baseline.tokens)
    b0, b1 = candidate_range or (0, candidate.tokens)
    if a1 - a0 != b1 - b0:
        raise ValueError(f"{a1 - a0} tokens cannot be compared with {b1 - b0}")
    for (lo, hi), reader in (((a0, a1), baseline), ((b0, b1), candidate)):
        if not 0 <= lo <= hi <= reader.tokens:
            raise ValueError(f"tokens {lo} to {hi} lie outside a snapshot of {reader.tokens}")
    largest, differing, aligned = 0.0, 0, baseline.columns == candidate.columns
    for offset in range(0, a1 - a0 if aligned else 0, _CHUNK):
        stop = min(offset + _CHUNK, a1 - a0)
        a = baseline.read(a0 + offset, a0 + stop)
        b = candidate.read(b0 + offset, b0 + stop)
        aligned &= all(
            np.array_equal(getattr(a, name), getattr(b, name))
            for name in ("document", "start", "end", "flags")
        )
        for difference in (np.abs((a.sparse - b.sparse).data), np.abs(a.dense - b.dense)):
            if difference.size:
                largest = max(largest, float(difference.max()))
                differing += int(np.count_nonzero(difference))
    return NoOpResult(
        bit_equal=aligned and differing == 0,
        max_abs_difference=largest if aligned else np.inf,
        differing_values=differing,
        tokens=a1 - a0,
    )
