"""The noise floor: how far null updates alone move features of one firing rate."""

from collections.abc import Collection, Mapping

import numpy as np

from workers.drift.policy import ONE_SIDED, Estimand, Floor, firing_stratum
from workers.drift.verdicts import VerdictTable

MAX_IDENTITY_FLOOR = 0.95
"""With a floor of 1 nothing could count as drift of identity: 1 is to share no token at all."""


def measure_floor(
    nulls: Mapping[str, VerdictTable],
    level: float = 0.99,
    min_active_documents: int = 50,
    without: Collection[str] = (),
) -> dict[tuple[Estimand, int], Floor]:
    """The quantile of |effect| by estimand and stratum of firing rate, over null comparisons.

    Each null update is measured by itself and the largest quantile is the floor: pooled, many
    quiet nulls would hide a loud one. The quantile is one of the observed effects, never between
    two, because a stratum may hold few features; below 1/(1 − level) of them it is the largest.

    Args:
        nulls: by source, the comparison of two checkpoints known to be equal in what matters.
        level: quantile, between 0 and 1.
        min_active_documents: features active in fewer are left out; their effects are chance.
        without: features left out because their numbers do not repeat at all: one of them would
            widen the margins of all others of its stratum.

    Returns:
        A floor for each estimand and stratum in which a feature was measured. Floors of identity
        stay at or below `MAX_IDENTITY_FLOOR`.

    Raises:
        ValueError: level does not lie between 0 and 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; a quantile lies between 0 and 1")
    floors: dict[tuple[Estimand, int], Floor] = {}
    for source, table in nulls.items():
        activity = table.activity
        stratum = firing_stratum((activity.firing_a + activity.firing_b) / 2, activity.dense)
        enough = activity.active_clusters >= min_active_documents
        enough &= ~np.isin(table.names, list(without))
        for estimand, found in table.inference.items():
            usable = enough & found.known
            for s in np.unique(stratum[usable]):
                effects = np.abs(found.effect[usable & (stratum == s)])
                value = float(np.quantile(effects, level, method="higher"))
                if estimand in ONE_SIDED:
                    value = min(value, MAX_IDENTITY_FLOOR)
                key = (estimand, int(s))
                if key not in floors or value > floors[key].value:
                    floors[key] = Floor(value, source)
    return floors
