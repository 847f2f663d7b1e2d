"""Sparse feature values: few of the latents are on at a token."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array


def from_parts(
    rows: Sequence[NDArray[np.int64]],
    columns: Sequence[NDArray[np.int64]],
    values: Sequence[NDArray[np.float32]],
    shape: tuple[int, int],
) -> csr_array:
    """A CSR array [tokens, columns] from coordinate parts.

    Args:
        rows, columns, values: per part the coordinates; each part is ordered by row, then column,
            and later parts hold larger columns of a row.
        shape: tokens, columns.
    """
    row = np.concatenate(rows) if rows else np.empty(0, dtype=np.int64)
    column = np.concatenate(columns) if columns else np.empty(0, dtype=np.int64)
    value = np.concatenate(values) if values else np.empty(0, dtype=np.float32)
    # Stable, so that columns stay ascending in each row.
    order = np.argsort(row, kind="stable")
    indptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=shape[0]))])
    result = csr_array(
        (value[order], column[order].astype(np.int32), indptr.astype(np.int64)), shape=shape
    )
    result.has_sorted_indices = True
    result.has_canonical_format = True
    return result


def from_dense(values: NDArray[np.float32]) -> csr_array:
    """A CSR array of a small dense array's non-zero entries."""
    rows, columns = np.nonzero(values)
    return from_parts([rows], [columns], [values[rows, columns]], values.shape)


def place(values: csr_array, targets: NDArray[np.int64], width: int) -> csr_array:
    """Move columns to where they belong in a wider array.

    Args:
        values: [T, n].
        targets: [n] new column of each, or -1 to drop it; no two alike.
        width: columns of the result.
    """
    target = targets[values.indices]
    keep = target >= 0
    row = np.repeat(np.arange(values.shape[0]), np.diff(values.indptr))[keep]
    column, value = target[keep], values.data[keep]
    order = np.lexsort((column, row))
    return from_parts([row[order]], [column[order]], [value[order]], (values.shape[0], width))
