"""Tables of verdicts on plain arrays."""

import numpy as np
from scipy.sparse import csr_array

from workers.drift.activity import count_activity
from workers.drift.estimands import dense_estimates, sparse_estimates
from workers.drift.ladder import judge
from workers.drift.policy import Policy
from workers.drift.sums import dense_sums, sparse_sums
from workers.drift.verdicts import VerdictTable


def table(
    a: np.ndarray,
    b: np.ndarray,
    cluster: np.ndarray,
    *,
    dense: bool = False,
    policy: Policy | None = None,
) -> VerdictTable:
    """Verdicts on paired values.

    Args:
        a, b: [tokens, features] values of both sides; on means above 0.
        cluster: [tokens]
    """
    clusters, features = int(cluster.max()) + 1, a.shape[1]
    zeros = np.zeros(features)
    sums = (
        dense_sums(a, b, cluster, clusters, zeros)
        if dense
        else sparse_sums(csr_array(a), csr_array(b), cluster, clusters, zeros)
    )
    found = dense_estimates(sums) if dense else sparse_estimates(sums)
    return judge(
        tuple(f"f{i}" for i in range(features)),
        count_activity(sums, dense=dense),
        {name: (np.arange(features), estimates) for name, estimates in found.items()},
        policy or Policy(),
    )
