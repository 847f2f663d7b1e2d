"""What counts as drift: the margins of a policy, raised to the measured noise floor."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import log
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Estimand = Literal[
    "rate",
    "magnitude",
    "identity_sparse",
    "strength",
    "shift",
    "scale",
    "identity_dense",
    "concept",
    "robustness",
]
SPARSE_ESTIMANDS: tuple[Estimand, ...] = ("rate", "magnitude", "identity_sparse", "strength")
DENSE_ESTIMANDS: tuple[Estimand, ...] = ("shift", "scale", "identity_dense")
ESTIMANDS: tuple[Estimand, ...] = (
    *SPARSE_ESTIMANDS,
    *DENSE_ESTIMANDS,
    "concept",
    "robustness",
)
IDENTITY: tuple[Estimand, Estimand] = ("identity_sparse", "identity_dense")
CONCORDANCE: tuple[Estimand, Estimand] = ("strength", "identity_dense")
"""1 − Lin's concordance, worked out on Fisher's z."""
CLOSEST = 1e-4
"""1 − concordance below which two sides count as equally close; margins are a thousand times it."""
ONE_SIDED: frozenset[Estimand] = frozenset((*IDENTITY, *CONCORDANCE))
"""Estimands whose null interval has an upper end only."""
OPTIONAL: frozenset[Estimand] = frozenset(("strength", "concept", "robustness"))
"""Estimands that do not keep a feature from `stable` where they cannot be told."""

RATE_EDGES = (1e-4, 10**-3.5, 1e-3, 10**-2.5, 1e-2, 10**-1.5, 1e-1)
"""Firing rates that separate the strata; half a decade each, open at both ends."""
DENSE_STRATUM = len(RATE_EDGES) + 1
"""The stratum of features that have a value at every token."""


def firing_stratum(firing_ratio: NDArray[np.float64], dense: NDArray[np.bool_]) -> NDArray[np.intp]:
    """The stratum of each feature: features of one stratum share noise floor and variance prior.

    Args:
        firing_ratio: [features] share of tokens where the feature is on, mean of both sides.
        dense: [features] whether the feature has a value at every token.

    Returns:
        [features] 0 for the rarest sparse features up to `DENSE_STRATUM` for dense ones.
    """
    return np.where(dense, DENSE_STRATUM, np.searchsorted(RATE_EDGES, firing_ratio, side="right"))


@dataclass(frozen=True)
class Floor:
    """The effect that null updates alone produce in one stratum, and where that was measured."""

    value: float
    source: str


@dataclass(frozen=True)
class Policy:
    """Margins and error rates of a monitor.

    A margin is the largest change that does not matter; every weight update changes every feature
    a little, so that the null hypothesis is the interval up to the margin, never the point 0.
    """

    rate: float = log(1.25)
    """|log ratio of firing rates|."""
    magnitude: float = log(1.25)
    """|log ratio of mean activation where both sides are on|."""
    identity_sparse: float = 0.2
    """1 − Jaccard index of the tokens where the feature is on."""
    strength: float = 0.2
    """1 − Lin's concordance of a sparse feature's activations."""
    shift: float = 0.2
    """|difference of means| in baseline standard deviations."""
    scale: float = log(1.25)
    """|log ratio of standard deviations|."""
    identity_dense: float = 0.1
    """1 − Lin's concordance correlation coefficient."""
    concept: float = 0.02
    """|difference of AUROC|."""
    robustness: float = 0.1
    """|difference of the concordance between documents and their variants|."""
    q: float = 0.05
    """False discovery rate, for `drifted` and for `stable` separately."""
    alpha: float = 0.05
    """Intervals have confidence 1 − alpha."""
    min_active_documents: int = 50
    """With fewer active documents (or groups of them) a feature is `insufficient`."""
    fvu_max: float = 0.5
    """A dictionary that leaves a larger fraction of variance unexplained is not usable."""
    noise_floor: Mapping[tuple[Estimand, int], Floor] = field(default_factory=dict)
    """By estimand and stratum (`firing_stratum`); a margin below its floor is raised to it."""

    def __post_init__(self) -> None:
        for name in ESTIMANDS:
            if not getattr(self, name) > 0:
                raise ValueError(f"margin {name} is {getattr(self, name)}; it must be above 0")
        shares = ("identity_sparse", "strength", "identity_dense", "concept", "robustness")
        for share in (*shares, "q", "alpha"):
            if not 0 < getattr(self, share) < 1:
                raise ValueError(f"{share} is {getattr(self, share)}; it must lie between 0 and 1")
        if self.min_active_documents < 2:
            raise ValueError(
                f"min_active_documents is {self.min_active_documents}; one document has no spread, "
                "give at least 2"
            )

    def margins(
        self, estimand: Estimand, stratum: NDArray[np.intp]
    ) -> tuple[NDArray[np.float64], NDArray[np.object_]]:
        """The margin of each feature, and what set it: "policy" or "noise_floor:<source>".

        Args:
            stratum: [features] from `firing_stratum`.
        """
        own = float(getattr(self, estimand))
        floors = [self.noise_floor.get((estimand, s)) for s in range(DENSE_STRATUM + 1)]
        raised = [f"noise_floor:{f.source}" if f and f.value > own else "policy" for f in floors]
        values = np.array([max(own, f.value) if f else own for f in floors])
        return values[stratum], np.array(raised, object)[stratum]
