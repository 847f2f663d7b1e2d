"""Raw activations of two snapshots side by side, and the feature values on the same tokens."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.comparison.corpus import CorpusLabels
from workers.comparison.pairing import NotComparableError, TokenPairs, Units
from workers.snapshots import ActivationSample, SnapshotReader

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Float32 = NDArray[np.float32]

_CHUNK = 65536


_KEPT_BYTES = 512 << 20
"""Activations of one side that stay in memory beside the site that was read last."""


class SiteActivations(Mapping[str, Float32]):
    """The activations of each site on some tokens, read when asked for; the last ones are kept."""

    def __init__(self, sites: Mapping[str, int], read: Callable[[str], Float32]) -> None:
        self._sites = sites
        self._read = read
        self._kept: OrderedDict[str, Float32] = OrderedDict()

    def __getitem__(self, site: str) -> Float32:
        if site not in self._sites:
            raise KeyError(site)
        if site not in self._kept:
            while sum(kept.nbytes for kept in self._kept.values()) > _KEPT_BYTES:
                self._kept.popitem(last=False)
            self._kept[site] = self._read(site)
        self._kept.move_to_end(site)
        return self._kept[site]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sites)

    def __len__(self) -> int:
        return len(self._sites)


@dataclass(frozen=True)
class SiteSample:
    """Tokens whose raw activations are stored and that count; all arrays are [n]."""

    rows: Int64
    """Positions among the snapshot's tokens, ascending."""
    document: Int32
    start: Int32
    end: Int32
    cluster: Int64
    """At least 0: special tokens, and those of outlier norm on both sides, are left out."""
    a: Mapping[str, Float32]
    """Of the baseline, by site [n, width]."""
    b: Mapping[str, Float32]
    """Of the candidate; empty in a sample of one snapshot."""

    def __len__(self) -> int:
        return len(self.rows)


def paired_sample(
    baseline: SnapshotReader, candidate: SnapshotReader, corpus: CorpusLabels
) -> SiteSample:
    """The tokens whose raw activations both snapshots hold.

    Sites whose width differs are left out of neither side: a reader of both must look.

    Raises:
        NotComparableError: the tokenizers differ, the snapshots hold other tokens, or no raw
            activations are stored in common.
    """
    tokenizers = [r.manifest.inputs.get("tokenizer_digest") for r in (baseline, candidate)]
    if tokenizers[0] != tokenizers[1]:
        raise NotComparableError(
            "the tokenizers differ, so that raw activations cannot be paired token by token"
        )
    units = TokenPairs(baseline, candidate, corpus).units
    rows = np.intersect1d(
        baseline.activation_rows(), candidate.activation_rows(), assume_unique=True
    )
    return _sample(units, rows, baseline, candidate)


def single_sample(reader: SnapshotReader, corpus: CorpusLabels) -> SiteSample:
    """The tokens whose raw activations one snapshot holds.

    Raises:
        NotComparableError: none are stored.
    """
    return _sample(TokenPairs(reader, reader, corpus).units, reader.activation_rows(), reader, None)


def feature_values(reader: SnapshotReader, names: Sequence[str], rows: Int64) -> Float32:
    """Stored values of some features on some tokens: [rows, names].

    Args:
        names: features of the snapshot, sparse or dense.
        rows: ascending positions among the snapshot's tokens.

    Raises:
        ValueError: the snapshot has no such feature, or no such token.
    """
    position = {c.name: i for i, c in enumerate((*reader.columns.sparse, *reader.columns.dense))}
    if unknown := [name for name in names if name not in position]:
        raise ValueError(f"the snapshot has no feature {unknown[0]!r}")
    if len(rows) and not 0 <= rows[0] <= rows[-1] < reader.tokens:
        raise ValueError(f"rows {rows[0]} to {rows[-1]} lie outside {reader.tokens} tokens")
    width = len(reader.columns.sparse)
    where = np.array([position[name] for name in names], np.int64)
    sparse, dense = np.flatnonzero(where < width), np.flatnonzero(where >= width)
    first, stop = (where[sparse].min(), where[sparse].max() + 1) if len(sparse) else (0, 0)
    found = np.zeros((len(rows), len(names)), np.float32)
    for start in range(0, reader.tokens, _CHUNK):
        lo, hi = np.searchsorted(rows, (start, start + _CHUNK))
        if lo == hi:
            continue
        block = reader.read(start, min(start + _CHUNK, reader.tokens), slice(first, stop))
        here = rows[lo:hi] - start
        found[lo:hi, dense] = block.dense[here][:, where[dense] - width]
        if len(sparse):
            chosen = block.sparse[here][:, where[sparse] - first]
            found[lo:hi, sparse] = chosen.toarray()
    return found


def _sample(
    units: Units, stored: Int64, baseline: SnapshotReader, candidate: SnapshotReader | None
) -> SiteSample:
    if len(stored) == 0:
        raise NotComparableError(
            "no raw activations are stored for the same tokens; capture with activation_tokens "
            "above 0"
        )
    rows = stored[units.cluster[stored] >= 0]
    sides: list[Mapping[str, Float32]] = [
        {} if reader is None else SiteActivations(reader.activation_sites, _selector(reader, rows))
        for reader in (baseline, candidate)
    ]
    return SiteSample(
        rows,
        units.document[rows],
        units.start[rows],
        units.end[rows],
        units.cluster[rows],
        sides[0],
        sides[1],
    )


def _selector(reader: SnapshotReader, rows: Int64) -> Callable[[str], Float32]:
    def read(site: str) -> Float32:
        sample: ActivationSample = reader.activations(site)
        at = np.searchsorted(sample.rows, rows)
        return np.asarray(sample.x[at], np.float32)

    return read
