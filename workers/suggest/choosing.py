"""The choice of candidates: everything here sees half A alone."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.baselines.aurocs import Auroc, auroc
from workers.suggest.material import Material
from workers.suggest.ranking import Ranks

SHORTLIST = 32
"""Latents of the highest AUROC that are ranked again by what documents apart agree on."""
TWIN_COSINE = 0.9
TWIN_CORRELATION = 0.9

Decoder = Callable[[NDArray[np.intp]], NDArray[np.float32] | None]
"""Gives the decoder's rows [latents, width] of some latents, where the dictionary has any."""


@dataclass(frozen=True)
class Twin:
    """A latent that says nearly the same as another one."""

    latent: int
    cosine: float | None
    """Of the decoder's directions; None where there are none."""
    correlation: float
    """Of the activations on half A."""


@dataclass(frozen=True)
class Candidate:
    """A latent that half A speaks for."""

    latent: int
    chosen_on: Auroc
    """On half A: of the best of many, and so too high."""
    twins: tuple[Twin, ...]
    """Of the shortlist; they were passed over in favour of this one."""


def choose(
    a: Material,
    ranks: Ranks,
    concept: str,
    number: int,
    alpha: float,
    decoder: Decoder,
) -> list[Candidate]:
    """The best latents for a concept, at most one of those that say the same.

    Of the `SHORTLIST` with the highest AUROC the order is by the lower end of its interval,
    clustered by document: a latent that knows one long document well does not stay ahead.

    Args:
        a: half A.
        ranks: of its latents.
        number: at most so many candidates.
        alpha: the interval has confidence 1 − alpha.
    """
    positive = a.labels[concept]
    found = ranks.aurocs(positive[:, None])[:, 0]
    order = np.argsort(-found, kind="stable")[:SHORTLIST]
    shortlist = order[found[order] > 0.5]
    if not len(shortlist):
        return []
    whole = np.zeros(len(a), np.intp)
    values = np.stack([a.dense(int(latent)) for latent in shortlist], axis=1)
    scored = [auroc(values[:, i], positive, a.cluster, whole, alpha) for i in range(len(shortlist))]
    ranked = sorted(range(len(shortlist)), key=lambda i: (-scored[i].lower, -scored[i].value, i))
    cosine, correlation = _alike(values, decoder(shortlist))
    kept: dict[int, list[Twin]] = {}
    for i in ranked:
        twin_of = next((k for k in kept if _twins(cosine, correlation, i, k)), None)
        if twin_of is not None:
            near = None if cosine is None else float(cosine[i, twin_of])
            kept[twin_of].append(Twin(int(shortlist[i]), near, float(correlation[i, twin_of])))
        elif len(kept) < number:
            kept[i] = []
    return [Candidate(int(shortlist[i]), scored[i], tuple(twins)) for i, twins in kept.items()]


def _alike(
    values: NDArray[np.float32], rows: NDArray[np.float32] | None
) -> tuple[NDArray[np.float64] | None, NDArray[np.float64]]:
    """Cosines of the decoder's rows, and correlations of the values; both [latents, latents]."""
    correlation = _gram(values - values.mean(axis=0, dtype=np.float64))
    return None if rows is None else _gram(rows.T.astype(np.float64)), correlation


def _gram(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    norms = np.linalg.norm(columns, axis=0)
    unit = columns / np.where(norms > 0, norms, 1)
    return np.asarray(unit.T @ unit, np.float64)


def _twins(
    cosine: NDArray[np.float64] | None, correlation: NDArray[np.float64], i: int, k: int
) -> bool:
    near = cosine is not None and cosine[i, k] >= TWIN_COSINE
    return bool(near or correlation[i, k] >= TWIN_CORRELATION)
