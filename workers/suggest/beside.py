"""What a latent is held against on half B: simple read-outs fitted on half A, and chance."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from workers.baselines.design import Design
from workers.baselines.readouts import (
    mean_difference_scores,
    probe_scores,
    token_lookup_scores,
)
from workers.controls.readouts import DIRECTIONS, rank_auroc
from workers.suggest.material import Material
from workers.suggest.split import A, B
from workers.suggest.words import bag_of_words_scores

READOUTS = ("token_lookup", "bag_of_words", "difference_of_means", "probe")

Float64 = NDArray[np.float64]


def fitted_scores(
    material: Material, side: NDArray[np.intp], concept: str, seed: int
) -> Mapping[str, Float64]:
    """The scores of each simple read-out on half B; nothing of half B was seen in fitting.

    The two halves are taken as two folds: a cross-fitted score on B comes from a fit on A.

    Returns:
        By read-out, [tokens of B].
    """
    positive, here = material.labels[concept], side == B
    design = Design([material.site])
    rng = np.random.default_rng(seed)
    scores = {
        "token_lookup": token_lookup_scores(material.keys, positive, side),
        "bag_of_words": bag_of_words_scores(
            material.keys, material.sequence, positive, side == A, rng
        ),
        "difference_of_means": mean_difference_scores(design, positive, side),
        "probe": probe_scores(design, positive, side, seed).scores,
    }
    return {name: scores[name][here] for name in READOUTS}


@dataclass(frozen=True)
class RandomDirections:
    """Random directions at the dictionary's site, drawn once for all concepts."""

    ranks: NDArray[np.float32]
    """[tokens of B, directions]"""

    @classmethod
    def draw(cls, site: NDArray[np.float32], seed: int) -> "RandomDirections":
        """Directions, and the ranks of their projections.

        Args:
            site: [tokens of B, width].
        """
        rng = np.random.default_rng(seed)
        vectors = rng.standard_normal((site.shape[1], DIRECTIONS), np.float32)
        return cls(rankdata(site @ vectors, axis=0).astype(np.float32))

    def limit(self, positive: NDArray[np.bool_], values: NDArray[np.float32]) -> float:
        """The 95th percentile of their AUROC, each rectified to fire as often as a latent does and
        turned the way in which it reads the concept better.

        Args:
            positive: [tokens of B].
            values: [tokens of B] of the latent.
        """
        rate = float(np.count_nonzero(values) / max(len(values), 1))
        found = rank_auroc(self.ranks, positive, rate)
        return float(np.quantile(np.maximum(found, 1 - found), 0.95, method="higher"))
