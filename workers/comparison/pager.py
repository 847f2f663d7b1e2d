"""Gathers influence values while a comparison streams, and decides on pages at its end."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from workers.drift.estimands import Estimates
from workers.drift.ladder import Blocked
from workers.drift.pages import MaxT, PageRequest, Pages, page
from workers.drift.policy import Estimand, Policy
from workers.drift.verdicts import VerdictTable


class Pager:
    """The family of tests that may page, block by block.

    Args:
        names: of all features of the comparison.
        blocked: features with a verdict already; they never page.
    """

    def __init__(
        self,
        request: PageRequest,
        names: tuple[str, ...],
        blocked: Mapping[str, Blocked],
        policy: Policy,
        clusters: int,
    ) -> None:
        self.wanted = request.asks_for(names) & np.array([n not in blocked for n in names], bool)
        """[features]"""
        self._request, self._policy = request, policy
        self._null = MaxT(clusters, request.draws, request.seed)
        self._family: dict[Estimand, NDArray[np.bool_]] = {}

    def add(
        self,
        estimand: Estimand,
        where: NDArray[np.intp],
        estimates: Estimates,
        active: NDArray[np.int64],
        rows: NDArray[np.int64] | None = None,
    ) -> None:
        """Take one estimand of some features into the family, where they may page.

        Args:
            where: positions of the features.
            estimates: theirs, with influence values.
            active: their numbers of active documents.
            rows: clusters that the influence values are of, in their order; None for all.
        """
        usable = self.wanted[where] & (active >= self._policy.min_active_documents)
        usable &= np.isfinite(estimates.point)
        if estimates.influence is None or not usable.any():
            return
        # What is equal bit for bit has rounding for influence.
        self._null.add(estimates.influence[:, usable & ~estimates.identical], rows)
        family = self._family.setdefault(estimand, np.zeros(len(self.wanted), bool))
        family[where[usable]] = True

    def decide(self, table: VerdictTable) -> Pages:
        """The pages of the finished comparison."""
        return page(table, self._family, self._null, self._request.alpha)
