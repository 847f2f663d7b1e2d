"""How often dense features exceed their own threshold: the rate of their alarms.

A probe whose values are what they were nearly everywhere may yet be blind at the few tokens where
it should fire, which mean, spread and concordance hardly show.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.drift.activity import Activity
from workers.drift.estimands import Estimates, sparse_estimates
from workers.drift.policy import Policy
from workers.drift.sums import PairedSums


@dataclass(frozen=True)
class Alarms:
    """The estimand `rate` of those dense features that it applies to."""

    where: NDArray[np.intp]
    """Their positions among the features given."""
    active: NDArray[np.int64]
    """Clusters with an alarm on either side."""
    rate: Estimates


def alarm_rates(
    sums: PairedSums, activity: Activity, policy: Policy, tests: int, *, influence: bool = False
) -> Alarms | None:
    """The rate of dense features that exceed their threshold in enough clusters.

    Where alarms lie in too few clusters for an interval, the exact sign test over clusters with
    alarms on one side only says whether they are gone; which features are then estimated depends
    on its outcome, so that its level is divided by the number of features.

    Args:
        tests: dense features of the whole comparison, of which these may be a part.
        influence: as for `sparse_estimates`.

    Returns:
        None where the estimand applies to no feature.
    """
    on = ((sums.both > 0) | (sums.only_a > 0) | (sums.only_b > 0)).sum(0)
    # On everywhere is no alarm: nobody has set a threshold between its values.
    somewhere_off = sums.both.sum(0, dtype=np.int64) < sums.tokens.sum()
    gone = activity.sign_test_p <= policy.q / tests
    here = np.flatnonzero(((on >= policy.min_active_documents) | gone) & somewhere_off)
    if not len(here):
        return None
    rate = sparse_estimates(sums.select(here), influence=influence)["rate"]
    return Alarms(here, on[here], rate)
