"""Is the feature's information still at the site: refitted linear read-outs, held out."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.diagnosis.correlation import Correlation, correlation, difference
from workers.diagnosis.groups import BLOCK, Group, Sides, value_sums
from workers.diagnosis.heads import Reader
from workers.diagnosis.maps import ridge
from workers.diagnosis.moments import Moments
from workers.diagnosis.trials import Trials
from workers.drift.sums import PairedSums

Array = NDArray[np.float64]
Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Recovery:
    """Refitted read-outs of the features of one group."""

    group: Group
    sums: PairedSums
    """The baseline's values beside the held-out predictions from the candidate."""
    random: PairedSums | None
    """Beside those from the randomised model."""
    weights: Array
    """[width, names] fitted on everything."""
    intercepts: Array
    firing: Array
    """[names] share of tokens where the baseline is on."""
    thresholds: Array
    """[names] value of the read-out on everything exceeded at that share of tokens."""
    alpha: float

    @cached_property
    def candidate_r(self) -> Correlation:
        """Held-out correlation on the candidate."""
        return correlation(self.sums, self.alpha)

    @cached_property
    def random_r(self) -> Correlation | None:
        """Held-out correlation on the randomised model."""
        return None if self.random is None else correlation(self.random, self.alpha)

    @cached_property
    def beyond_random(self) -> Correlation | None:
        """By how much a candidate's read-out exceeds that from the randomised model."""
        if self.random is None:
            return None
        return difference(self.sums, self.random, self.alpha)

    def figure(self, name: str) -> dict[str, Any]:
        """One feature's figures as plain JSON values."""
        at = self.group.names.index(name)
        random, beyond = self.random_r, self.beyond_random
        return {
            "candidate": self.candidate_r.figure(at),
            "randomised_model": None if random is None else random.figure(at),
            "difference": None if beyond is None else beyond.figure(at),
        }


class Recoveries:
    """Refits read-outs, group by group; the randomised model's moments are kept per site."""

    def __init__(self, trials: Trials) -> None:
        """Align the randomised model's tokens with the sample's."""
        self._trials = trials
        self._random_moments: tuple[tuple[str, int], Moments] | None = None
        question = trials.question
        self._rows: tuple[NDArray[np.intp], NDArray[np.intp]] | None = None
        if question.randomised is not None:
            _, mine, theirs = np.intersect1d(
                question.sample.rows,
                question.randomised.rows,
                assume_unique=True,
                return_indices=True,
            )
            self._rows = (mine, theirs) if len(mine) else None

    def run(self, names: Sequence[str]) -> list[Recovery]:
        """Refit and judge read-outs of features that are no composites."""
        return [self._group(group) for group in self._trials.groups(names)]

    def _group(self, group: Group) -> Recovery:
        trials = self._trials
        (site,) = group.sites
        sides = trials.sides(group.sites)
        reader = trials.heads(site, group.names).under()
        rows = slice(None, None, group.step)
        a, b, fold = sides.a[site][rows], sides.b[site][rows], trials.fold[rows]
        y = np.concatenate([reader(a[at : at + BLOCK]) for at in range(0, len(a), BLOCK)])
        if group.step == 1:
            moments = trials.maps(site).moments.with_targets(b, y, fold)
        else:
            moments = Moments.of(b, y, fold)
        cluster = sides.cluster[rows]
        sums = self._judge(b, y, moments, cluster, sides, fold)
        features = trials.question.features
        firing = np.array(
            [(y[:, i] > features[n].threshold).mean() for i, n in enumerate(group.names)]
        )
        W, c = ridge(moments, None, shared=False)
        some = b[:: max(len(b) // 65536, 1)]
        predicted = some @ W.astype(np.float32) + c.astype(np.float32)
        thresholds = np.array(
            [np.quantile(predicted[:, i], 1 - share) for i, share in enumerate(firing)], np.float64
        )
        random = self._random(site, group, y, fold, cluster, sides)
        alpha = trials.question.policy.alpha
        return Recovery(group, sums, random, W, c, firing, thresholds, alpha)

    def _judge(
        self,
        x: Float32,
        y: Float32,
        moments: Moments,
        cluster: NDArray[np.int64],
        sides: Sides,
        fold: NDArray[np.int8],
    ) -> PairedSums:
        fits = [Reader.linear(*ridge(moments, half, shared=False)) for half in (0, 1)]
        here = Sides({}, {}, cluster, (fold // 2).astype(np.int8), sides.clusters)
        return value_sums(
            here,
            1,
            lambda at: y[at[0] : at[-1] + 1],
            lambda at, fit: fits[fit](x[at[0] : at[-1] + 1]),
            np.zeros(y.shape[1]),
        )

    def _random(
        self,
        site: str,
        group: Group,
        y: Float32,
        fold: NDArray[np.int8],
        cluster: NDArray[np.int64],
        sides: Sides,
    ) -> PairedSums | None:
        randomised = self._trials.question.randomised
        if randomised is None or self._rows is None or site not in randomised.a:
            return None
        mine, theirs = self._rows
        x = randomised.a[site]
        if group.step > 1:
            keep = mine % group.step == 0
            mine, theirs = mine[keep] // group.step, theirs[keep]
        if len(theirs) != len(x) or len(mine) != len(y):
            x, y, fold, cluster = x[theirs], y[mine], fold[mine], cluster[mine]
        key = (site, group.step)
        if self._random_moments is not None and self._random_moments[0] == key:
            moments = self._random_moments[1].with_targets(x, y, fold)
        else:
            moments = Moments.of(x, y, fold)
            self._random_moments = (key, moments)
        return self._judge(x, y, moments, cluster, sides, fold)
