"""Where did a latent or neuron go: the best-matching other one of its dictionary or site."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.registry.definitions import Neuron, SaeLatent
from workers.diagnosis.groups import site_of
from workers.diagnosis.trials import Trials
from workers.features.encoders import make_encoder

Array = NDArray[np.float64]
Float32 = NDArray[np.float32]

PRODUCTS = 5e10
"""Multiplications allowed on each half to compute all latents of a dictionary."""
LOOKED_AT = 131072
"""Tokens of a half whose baseline values are looked at for where features are active."""
ACTIVE = 128
"""Tokens added for each feature where it is active: else a rare one would not be seen."""
SHIFTS = 8
_COLUMNS = 64


@dataclass(frozen=True)
class Match:
    """What the search on one half found for one feature."""

    index: int
    correlation: float
    """With the baseline's value on the tokens searched, where active tokens are many."""
    noise: float
    """The largest correlation of the same search with circularly shifted baseline values."""


def find_matches(trials: Trials, names: Sequence[str]) -> dict[str, tuple[Match, Match]]:
    """Search for latents and neurons, on the first half and on the second, apart.

    Args:
        names: latents and neurons; others are ignored.
    """
    question = trials.question
    pools: dict[tuple[str, str], list[str]] = {}
    for name in names:
        feature = question.features[name]
        if isinstance(feature, SaeLatent | Neuron):
            pool = feature.dictionary if isinstance(feature, SaeLatent) else ""
            key = (site_of(feature, question.dictionaries), pool)
            pools.setdefault(key, []).append(name)
    found: dict[str, tuple[Match, Match]] = {}
    for (site, pool), members in sorted(pools.items()):
        for first in range(0, len(members), _COLUMNS):
            chosen = members[first : first + _COLUMNS]
            halves = [_search(trials, site, pool, chosen, half) for half in (0, 1)]
            found.update({name: (halves[0][name], halves[1][name]) for name in chosen})
    return found


def _search(
    trials: Trials, site: str, pool: str, names: list[str], half: int
) -> Mapping[str, Match]:
    sides = trials.sides((site,))
    a, b = sides.a[site], sides.b[site]
    rows = np.flatnonzero(trials.half == half)
    rows = rows[:: max(-(-len(rows) // LOOKED_AT), 1)]
    y = trials.heads(site, names).under()(a[rows])
    source = trials.question.dictionaries.get(pool)
    size = a.shape[1] * (1 if source is None else source.d_sae)
    kept = _rows(y, max(int(PRODUCTS / size), 1024))
    y, x = y[kept], np.ascontiguousarray(b[rows[kept]])
    if source is None:
        return best_matches(names, y, x)
    encoder, _ = make_encoder(source, torch.device("cpu"))
    return best_matches(names, y, encoder.encode(torch.from_numpy(x), [len(x)]))


def _rows(y: Float32, limit: int) -> NDArray[np.intp]:
    """Evenly spaced rows, and some at which each feature is active; ascending."""
    chosen = np.zeros(len(y), bool)
    chosen[:: max(-(-len(y) // limit), 1)] = True
    for column in y.T:
        active = np.flatnonzero(column > 0)
        chosen[active[:: max(len(active) // ACTIVE, 1)][:ACTIVE]] = True
    return np.flatnonzero(chosen)


def best_matches(names: Sequence[str], y: Float32, z: csr_array | Float32) -> dict[str, Match]:
    """The column of z with the largest correlation with each column of y.

    Args:
        y: [T, names] the baseline's values.
        z: [T, K] all latents, or all coordinates, of the candidate.
    """
    tokens = max(len(y), 1)
    if isinstance(z, csr_array):
        total = np.asarray(z.sum(axis=0), dtype=np.float64).ravel()
        square = np.asarray(z.multiply(z).sum(axis=0), dtype=np.float64).ravel()
    else:
        total, square = z.sum(0, dtype=np.float64), np.square(z, dtype=np.float64).sum(0)
    spread = np.sqrt(np.maximum(square / tokens - (total / tokens) ** 2, 0))
    silent = spread <= 1e-6 * np.sqrt(square / tokens)

    def correlations(values: Float32) -> Array:
        v = values - values.mean(0)
        sizes = np.sqrt(np.square(v, dtype=np.float64).mean(0))
        cross = np.asarray(z.T @ v, dtype=np.float64) / tokens
        with np.errstate(divide="ignore", invalid="ignore"):
            r = cross / (spread[:, None] * sizes)
        r[silent] = -1.0
        return np.nan_to_num(r, nan=-1.0)

    r = correlations(y)
    index = r.argmax(0)
    noise = np.full(len(names), -1.0)
    for turn in range(1, SHIFTS + 1):
        shifted = np.roll(y, turn * tokens // (SHIFTS + 1), axis=0)
        noise = np.maximum(noise, correlations(shifted).max(0))
    return {
        name: Match(int(index[i]), float(r[index[i], i]), float(noise[i]))
        for i, name in enumerate(names)
    }
