"""Two halves of a corpus: no document, copy, variant or group stands on both sides."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

A, B = 0, 1
"""Latents are chosen on A; all that is reported of how well they do is measured on B."""


def halves(
    cluster: NDArray[np.integer], labels: Mapping[str, NDArray[np.bool_]], seed: int
) -> NDArray[np.intp]:
    """The half of each token; tokens of one unit share it.

    Units are paired by the rarest concept they carry and by how many of its tokens, and a coin
    decides which of a pair goes where: both halves get their share of each concept (matched pairs;
    Greevy et al. 2004), and no one could have chosen who stands where.

    Args:
        cluster: [tokens] unit of each token.
        labels: by concept, [tokens].
        seed: of the coin.

    Returns:
        [tokens] `A` or `B`.
    """
    _, unit = np.unique(cluster, return_inverse=True)
    units = int(unit.max()) + 1 if len(unit) else 0
    carried = {name: np.bincount(unit, flags, units) for name, flags in labels.items()}
    rarest_first = sorted(carried, key=lambda name: (np.count_nonzero(carried[name]), name))
    stratum = np.full(units, len(rarest_first))
    amount = np.bincount(unit, minlength=units).astype(np.float64)
    for place, name in reversed(list(enumerate(rarest_first))):
        here = carried[name] > 0
        stratum[here], amount[here] = place, carried[name][here]
    rng = np.random.default_rng(seed)
    order = np.lexsort((rng.permutation(units), -amount, stratum))
    side = np.empty(units, np.intp)
    for first in range(0, units, 2):
        pair = order[first : first + 2]
        side[pair] = rng.permutation(2)[: len(pair)]
    return side[unit]
