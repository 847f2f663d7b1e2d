"""Is the feature's information still at the site: refitted linear read-outs, held out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.diagnosis.correlation import Correlation, best_of, correlation, difference
from workers.diagnosis.groups import BLOCK, Group, Sides, value_sums
from workers.diagnosis.heads import Reader, SiteHeads
from workers.diagnosis.lookup import TokenLookup
from workers.diagnosis.maps import AffineMap, ridge
from workers.diagnosis.moments import Moments, fitted_rows
from workers.diagnosis.trials import Trial, Trials
from workers.drift.sums import PairedSums

Array = NDArray[np.float64]
Float32 = NDArray[np.float32]


RANDOMISED = "randomised_model"
TOKENS = "token_lookup"
MIXTURES = 32
"""Random mixtures of a site's coordinates by which its map is judged."""


@dataclass(frozen=True)
class Null:
    """What a read-out must beat, of each feature the better of two."""

    names: tuple[str, ...]
    """Which one it is."""
    r: Correlation
    """Its held-out correlation with the baseline's values."""
    beyond: Correlation
    """By how much the candidate's exceeds it."""


def better_null(mine: PairedSums, nulls: Mapping[str, PairedSums], alpha: float) -> Null | None:
    """Of each feature the null with the larger correlation; None without any.

    Args:
        mine: what is to beat it.
    """
    if not nulls:
        return None
    names = tuple(nulls)
    found = [correlation(sums, alpha) for sums in nulls.values()]
    beyond = [difference(mine, sums, alpha) for sums in nulls.values()]
    choice = np.stack([np.nan_to_num(r.point, nan=-1.0) for r in found]).argmax(0)
    return Null(tuple(names[i] for i in choice), _chosen(found, choice), _chosen(beyond, choice))


@dataclass(frozen=True)
class Recovery:
    """Refitted read-outs of the features of one group."""

    group: Group
    direct: PairedSums
    """The baseline's values beside held-out linear predictions of them from the candidate."""
    best: PairedSums
    """Likewise, or beside the frozen feature behind a map: of each feature what correlates best."""
    nulls: Mapping[str, PairedSums]
    """What needs no trained model: `RANDOMISED`, the best of the same refits from the randomised
    model, and `TOKENS`, a lookup of the token; what is not known is missing."""
    weights: Array
    """[width, names] linear read-outs fitted on everything."""
    intercepts: Array
    firing: Array
    """[names] share of tokens where the baseline is on."""
    thresholds: Array
    """[names] value of the read-out on everything exceeded at that share of tokens."""
    alpha: float

    @cached_property
    def candidate_r(self) -> Correlation:
        """Held-out correlation on the candidate."""
        return correlation(self.best, self.alpha)

    @cached_property
    def direct_r(self) -> Correlation:
        """Of the linear read-out alone."""
        return correlation(self.direct, self.alpha)

    @cached_property
    def null(self) -> Null | None:
        """Of each feature, the better of the nulls; None without any."""
        return better_null(self.best, self.nulls, self.alpha)

    def figure(self, name: str) -> dict[str, Any]:
        """One feature's figures as plain JSON values."""
        at = self.group.names.index(name)
        null = self.null
        figures = {
            name: correlation(sums, self.alpha).figure(at) for name, sums in self.nulls.items()
        }
        return {
            "candidate": self.candidate_r.figure(at),
            "linear_readout": self.direct_r.figure(at),
            RANDOMISED: figures.get(RANDOMISED),
            TOKENS: figures.get(TOKENS),
            "beside": None if null is None else null.names[at],
            "difference": None if null is None else null.beyond.figure(at),
        }


@dataclass(frozen=True)
class SiteMap:
    """The ridge map of a site, judged by all of what it maps."""

    r: Correlation
    """Held-out correlation of mapped mixtures of coordinates with the baseline's."""
    null: Null | None

    def figure(self) -> dict[str, Any]:
        """As plain JSON values."""
        null = self.null
        return {
            "candidate": self.r.figure(0),
            "beside": None if null is None else null.names[0],
            "null": None if null is None else null.r.figure(0),
            "difference": None if null is None else null.beyond.figure(0),
        }


@dataclass(frozen=True)
class _Rows:
    """Activations of some tokens beside the baseline's values."""

    x: Float32
    a: Float32
    """[n, width] the baseline's activations."""
    y: Float32
    fold: NDArray[np.int8]
    cluster: NDArray[np.int64]
    clusters: int
    thresholds: Array | None = None
    """[targets] above which values count as alarms; 0 where not given."""


class Recoveries:
    """Refits read-outs, group by group; the randomised model's moments are kept per site."""

    def __init__(self, trials: Trials, mapped: Sequence[Trial]) -> None:
        """Align the randomised model's tokens with the sample's.

        Args:
            mapped: trials of frozen features behind maps of the candidate's activations.
        """
        self._trials, self._mapped = trials, mapped
        self._random_moments: tuple[tuple[str, int], Moments] | None = None
        self._site_maps: dict[tuple[str, int], SiteMap] = {}
        question = trials.question
        self._aligned: tuple[NDArray[np.intp], NDArray[np.intp]] | None = None
        if question.randomised is not None:
            _, mine, theirs = np.intersect1d(
                question.sample.rows,
                question.randomised.rows,
                assume_unique=True,
                return_indices=True,
            )
            self._aligned = (mine, theirs) if len(mine) else None

    def run(self, names: Sequence[str]) -> list[Recovery]:
        """Refit and judge read-outs of features that are no composites."""
        return [self._group(group) for group in self._trials.groups(names)]

    def _group(self, group: Group) -> Recovery:
        trials = self._trials
        (site,) = group.sites
        sides = trials.sides(group.sites)
        heads = trials.heads(site, group.names)
        every = slice(None, None, group.step)
        a, x, fold = sides.a[site][every], sides.b[site][every], trials.fold[every]
        y = trials.baseline(group)
        own = np.array([trials.question.features[n].threshold for n in group.names], np.float64)
        rows = _Rows(x, a, y, fold, sides.cluster[every], sides.clusters, own)
        fitted = fitted_rows(fold, x.shape[1])
        if group.step == 1:
            moments = trials.maps(site).moments.with_targets(x, y, fitted)
        else:
            moments = Moments.of(x, y, fitted)
        direct = _judge(rows, _linear(moments))
        others = [trial.columns(group.names) for trial in self._mapped]
        best = best_of([direct, *(sums for sums in others if sums is not None)])
        features = trials.question.features
        firing = np.array(
            [(y[:, i] > features[n].threshold).mean() for i, n in enumerate(group.names)]
        )
        W, c = ridge(moments, None, shared=False)
        predicted = Reader.linear(W, c)(x[:: max(len(x) // 65536, 1)])
        thresholds = np.array(
            [np.quantile(predicted[:, i], 1 - share) for i, share in enumerate(firing)], np.float64
        )
        nulls = self._nulls(site, group.step, rows, heads if group.sparse else None)
        alpha = trials.question.policy.alpha
        return Recovery(group, direct, best, nulls, W, c, firing, thresholds, alpha)

    def site_map(self, site: str, step: int) -> SiteMap:
        """Does the ridge map of a whole site carry more of the baseline than the tokens do?

        A feature that follows from the token alone cannot show that the map is more than a reading
        of tokens; random mixtures of the standardised coordinates, taken together, can.
        """
        if (site, step) not in self._site_maps:
            trials = self._trials
            sides = trials.sides((site,))
            every = slice(None, None, step)
            a, x, fold = sides.a[site][every], sides.b[site][every], trials.fold[every]
            some = a[:: max(len(a) // 8192, 1)]
            spread = np.maximum(some.std(0, dtype=np.float64), np.finfo(np.float32).tiny)
            rng = np.random.default_rng(trials.question.seed)
            mixtures = rng.normal(size=(a.shape[1], MIXTURES)) / spread[:, None]
            mixtures /= np.maximum((some @ mixtures).std(0), np.finfo(float).tiny)
            shift = -some.mean(0, dtype=np.float64) @ mixtures
            y = _in_blocks(Reader.linear(mixtures, shift), a)
            rows = _Rows(x, a, y, fold, sides.cluster[every], sides.clusters)
            maps = [trials.maps(site).get("ridge", half) for half in (0, 1)]
            fits = [Reader.linear(m.M @ mixtures, m.t @ mixtures + shift) for m in maps]
            nulls = self._nulls(site, step, rows, None)
            mine = _pooled(_judge(rows, fits))
            pooled = {name: _pooled(sums) for name, sums in nulls.items()}
            alpha = trials.question.policy.alpha
            null = better_null(mine, pooled, alpha)
            self._site_maps[site, step] = SiteMap(correlation(mine, alpha), null)
        return self._site_maps[site, step]

    def _nulls(
        self, site: str, step: int, rows: _Rows, heads: SiteHeads | None
    ) -> dict[str, PairedSums]:
        found = {}
        random = self._random(site, step, heads, rows)
        if random is not None:
            found[RANDOMISED] = random
        if self._trials.codes is not None:
            found[TOKENS] = _looked_up(rows, self._trials.codes[::step])
        return found

    def _random(
        self, site: str, step: int, heads: SiteHeads | None, mine: _Rows
    ) -> PairedSums | None:
        """The same refits from the randomised model: linear, and frozen heads behind a map."""
        randomised = self._trials.question.randomised
        if randomised is None or self._aligned is None or site not in randomised.a:
            return None
        rows = _aligned(mine, randomised.a[site], *self._aligned, step)
        fitted = fitted_rows(rows.fold, rows.x.shape[1])
        key = (site, step)
        if self._random_moments is not None and self._random_moments[0] == key:
            moments = self._random_moments[1].with_targets(rows.x, rows.y, fitted)
        else:
            moments = Moments.of(rows.x, rows.y, fitted)
            self._random_moments = (key, moments)
        found = [_judge(rows, _linear(moments))]
        if heads is None:
            # A linear feature behind a ridge map is the ridge read-out itself.
            return found[0]
        if heads.competing:
            whole = moments.with_targets(rows.x, rows.a, fitted)
            maps = [AffineMap(*ridge(whole, half, shared=True)) for half in (0, 1)]
            fits = [heads.under(mapping) for mapping in maps]
        else:
            # Each feature needs its own linear form of the map alone.
            forms = _in_blocks(heads.forms(), rows.a)
            targets = moments.with_targets(rows.x, forms, fitted)
            fits = [heads.behind(*ridge(targets, half, shared=False)) for half in (0, 1)]
        return best_of([*found, _judge(rows, fits)])


def _aligned(
    rows: _Rows, x: Float32, mine: NDArray[np.intp], theirs: NDArray[np.intp], step: int
) -> _Rows:
    """The tokens that both samples hold, of those at every `step`."""
    if step > 1:
        keep = mine % step == 0
        mine, theirs = mine[keep] // step, theirs[keep]
    if len(mine) == len(rows.y) == len(x):
        return replace(rows, x=x)
    return _Rows(
        x[theirs],
        rows.a[mine],
        rows.y[mine],
        rows.fold[mine],
        rows.cluster[mine],
        rows.clusters,
        rows.thresholds,
    )


def _linear(moments: Moments) -> list[Reader]:
    return [Reader.linear(*ridge(moments, half, shared=False)) for half in (0, 1)]


def _judge(rows: _Rows, fits: Sequence[Reader]) -> PairedSums:
    return _paired(rows, lambda at, fit: fits[fit](rows.x[at]))


def _looked_up(rows: _Rows, codes: NDArray[np.intp]) -> PairedSums:
    lookup = TokenLookup(codes, rows.y, (rows.fold // 2).astype(np.int8))
    return _paired(rows, lookup)


def _paired(rows: _Rows, read: Callable[[slice, int], Float32]) -> PairedSums:
    """The baseline's values beside what reads rows by the fit on one half or the other."""

    def here(at: NDArray[np.intp]) -> slice:
        return slice(int(at[0]), int(at[-1]) + 1)

    half = (rows.fold // 2).astype(np.int8)
    return value_sums(
        Sides({}, {}, rows.cluster, half, rows.clusters),
        1,
        lambda at: rows.y[here(at)],
        lambda at, fit: read(here(at), fit),
        np.zeros(rows.y.shape[1]) if rows.thresholds is None else rows.thresholds,
    )


def _pooled(sums: PairedSums) -> PairedSums:
    """Centred features of equal variance as if they were one, over the same tokens."""
    names = [f.name for f in fields(PairedSums) if f.name != "tokens"]
    return PairedSums(sums.tokens, *(getattr(sums, n).sum(1, keepdims=True) for n in names))


def _chosen(found: Sequence[Correlation], choice: NDArray[np.intp]) -> Correlation:
    point, lower, upper = (
        np.choose(choice, [getattr(r, name) for r in found]) for name in ("point", "lower", "upper")
    )
    return Correlation(point, lower, upper)


def _in_blocks(reader: Reader, x: Float32) -> Float32:
    return np.concatenate([reader(x[at : at + BLOCK]) for at in range(0, len(x), BLOCK)])
