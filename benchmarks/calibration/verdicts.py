"""From drawn sums to the service's own verdicts, through the code that compares snapshots."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from multiprocessing import get_context
from typing import TypeVar

import numpy as np

from workers.comparison.pager import Pager
from workers.drift.activity import Activity, count_activity
from workers.drift.estimands import dense_estimates, sparse_estimates
from workers.drift.ladder import judge
from workers.drift.pages import PageRequest, Pages
from workers.drift.policy import Policy
from workers.drift.sums import PairedSums
from workers.drift.verdicts import VerdictTable

Task = TypeVar("Task")
Result = TypeVar("Result")


def judged(policy: Policy, sparse: PairedSums, dense: PairedSums | None = None) -> VerdictTable:
    """The verdicts on features of which these are the sums, sparse ones first."""
    width = sparse.both.shape[1]
    found = {k: (np.arange(width), v) for k, v in sparse_estimates(sparse).items()}
    activity = count_activity(sparse, dense=False)
    features = width
    if dense is not None:
        features += dense.both.shape[1]
        where = np.arange(width, features)
        found |= {k: (where, v) for k, v in dense_estimates(dense).items()}
        activity = Activity.concatenate([activity, count_activity(dense, dense=True)])
    return judge(tuple(map(str, range(features))), activity, found, policy)


def judged_dense(policy: Policy, dense: PairedSums) -> VerdictTable:
    """The verdicts on dense features alone."""
    where = np.arange(dense.both.shape[1])
    found = {k: (where, v) for k, v in dense_estimates(dense).items()}
    return judge(tuple(map(str, where)), count_activity(dense, dense=True), found, policy)


def paged(policy: Policy, sparse: PairedSums, request: PageRequest) -> tuple[VerdictTable, Pages]:
    """The verdicts on sparse features, and which of them page."""
    clusters, features = sparse.both.shape
    where, names = np.arange(features), tuple(map(str, range(features)))
    found = sparse_estimates(sparse, influence=True)
    activity = count_activity(sparse, dense=False)
    pager = Pager(request, names, {}, policy, clusters)
    for estimand, estimates in found.items():
        pager.add(estimand, where, estimates, activity.active_clusters)
    table = judge(names, activity, {k: (where, v) for k, v in found.items()}, policy)
    return table, pager.decide(table)


def seeds(seed: int, section: str, count: int) -> list[np.random.SeedSequence]:
    """Independent streams for the replicates of a section."""
    return np.random.SeedSequence([seed, *section.encode()]).spawn(count)


def spread(
    function: Callable[..., Result], tasks: Sequence[Task], processes: int, *fixed: object
) -> Iterator[Result]:
    """function(task, *fixed) of every task in turn, over some processes."""
    arguments = [repeat(x, len(tasks)) for x in fixed]
    if processes < 2:
        yield from map(function, tasks, *arguments)
        return
    # Not forked: a copy of a process with threads may wait for a lock that nobody holds.
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        yield from pool.map(function, tasks, *arguments, chunksize=max(len(tasks) // 32, 1))
