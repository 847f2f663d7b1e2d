"""The drift score: where a feature stands between noise and a model that knows nothing."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from workers.drift.policy import IDENTITY, Estimand, Floor, firing_stratum
from workers.drift.verdicts import VerdictTable

Array = NDArray[np.float64]


def drift_scores(
    table: VerdictTable,
    randomised: VerdictTable | None,
    floor: Mapping[tuple[Estimand, int], Floor],
) -> Array:
    """(identity effect − noise floor) / (identity effect with random weights − noise floor).

    Clipped to [0, 1]: 0 is what null updates do too, 1 is no better than a random model. A point
    estimate for people and dashboards; verdicts never rest on it.

    Args:
        randomised: the baseline against the same architecture with fresh weights.
        floor: from `measure_floor`; a stratum that is not in it has a floor of 0.

    Returns:
        [features] 1 for a feature that died; NaN where an effect is unknown, or where random
        weights move the feature no further than noise does.
    """
    activity = table.activity
    effect = _identity(table)
    ceiling = np.full(len(table), np.nan)
    if randomised is not None:
        found = dict(zip(randomised.names, _identity(randomised), strict=True))
        ceiling = np.array([found.get(name, np.nan) for name in table.names])
    stratum = firing_stratum((activity.firing_a + activity.firing_b) / 2, activity.dense)
    noise = np.zeros(len(table))
    for estimand in IDENTITY:
        for (measured, s), here in floor.items():
            if measured == estimand:
                noise[stratum == s] = here.value
    room = ceiling - noise
    with np.errstate(divide="ignore", invalid="ignore"):
        score = np.where(room > 0, np.clip((effect - noise) / room, 0, 1), np.nan)
    return np.where(activity.dead, 1.0, score)


def _identity(table: VerdictTable) -> Array:
    """[features] 1 − Jaccard or 1 − concordance, whichever applies."""
    effect = np.full(len(table), np.nan)
    for estimand in IDENTITY:
        if estimand in table.inference:
            found = table.inference[estimand]
            effect = np.where(found.known, found.effect, effect)
    return effect
