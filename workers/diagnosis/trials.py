"""Trials: is the frozen feature equivalent to the baseline's again, on held-out documents?"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.registry.definitions import Feature
from workers.diagnosis.correlation import Correlation, correlation
from workers.diagnosis.groups import (
    Group,
    Readers,
    Sides,
    base_parts,
    baseline_values,
    group_sums,
    make_groups,
    site_of,
)
from workers.diagnosis.heads import SiteHeads
from workers.diagnosis.lookup import token_codes
from workers.diagnosis.maps import SiteMaps
from workers.diagnosis.moments import assign_folds
from workers.diagnosis.question import DiagnosisQuestion
from workers.drift.activity import Activity, count_activity
from workers.drift.alarms import alarm_rates
from workers.drift.estimands import Estimates, dense_estimates, sparse_estimates
from workers.drift.ladder import judge
from workers.drift.policy import Estimand, Policy
from workers.drift.records import FeatureVerdict
from workers.drift.sums import PairedSums
from workers.drift.verdicts import VerdictTable

Array = NDArray[np.float64]
Float32 = NDArray[np.float32]

_KEPT_BYTES = 512 << 20
"""Baseline values kept between trials."""


@dataclass(frozen=True)
class Trial:
    """Verdicts of some features under one hypothesis: one family of tests."""

    parts: tuple[tuple[Group, PairedSums], ...]
    policy: Policy
    counted: frozenset[str] = frozenset()
    """Dense features whose sums count the tokens above their own threshold."""

    @cached_property
    def table(self) -> VerdictTable:
        """The verdicts, by the same ladder and margins as any comparison."""
        activity: list[Activity] = []
        found: dict[Estimand, list[tuple[NDArray[np.intp], Estimates]]] = {}
        names: list[str] = []
        for group, sums in self.parts:
            where = np.arange(len(names), len(names) + len(group.names))
            names.extend(group.names)
            activity.append(count_activity(sums, dense=not group.sparse))
            estimates = sparse_estimates(sums) if group.sparse else dense_estimates(sums)
            for estimand, values in estimates.items():
                found.setdefault(estimand, []).append((where, values))
            chosen = [i for i, name in enumerate(group.names) if name in self.counted]
            if chosen and not group.sparse:
                some = _columns(sums, chosen)
                counts = count_activity(some, dense=True)
                if alarms := alarm_rates(some, counts, self.policy, len(self.counted)):
                    at = where[chosen][alarms.where]
                    found.setdefault("rate", []).append((at, alarms.rate))
        merged = {
            estimand: (
                np.concatenate([where for where, _ in pieces]),
                Estimates.concatenate([values for _, values in pieces]),
            )
            for estimand, pieces in found.items()
        }
        return judge(tuple(names), Activity.concatenate(activity), merged, self.policy)

    def names(self) -> set[str]:
        """Which features were tried."""
        return {name for group, _ in self.parts for name in group.names}

    def verdict(self, name: str) -> FeatureVerdict:
        """One feature's verdict."""
        return self.table.by_name(name)

    def documents(self, name: str) -> int:
        """Documents (or groups of them) that tell of the feature: where the baseline is on.

        A feature that fires elsewhere in the candidate is active in more of them, but only these
        can show where it went.
        """
        for group, sums in self.parts:
            if name in group.names:
                at = group.names.index(name)
                if not group.sparse:
                    return int((sums.tokens > 0).sum())
                return int(((sums.both[:, at] > 0) | (sums.only_a[:, at] > 0)).sum())
        raise KeyError(name)

    def equivalent(self, name: str) -> bool:
        """Whether every estimand is shown to lie within its margin."""
        return name in self.names() and self.verdict(name).verdict == "stable"

    def other_alarms(self, name: str) -> bool:
        """Whether a dense feature surely exceeds its threshold more or less often.

        By its rate, or by the sign test over documents: one alarm left of twenty has no error.
        """
        row = self.verdict(name)
        rate = row.estimates.get("rate") if name in self.counted else None
        surest = min(rate.p_drifted, row.sign_test_p) if rate is not None else 1.0
        return surest <= self.policy.alpha

    def only_other_alarms(self, name: str) -> bool:
        """Whether all but how often a dense feature exceeds its threshold is as it was."""
        found = self.verdict(name).estimates
        held = {estimand for estimand, e in found.items() if e.p_stable <= self.policy.alpha}
        return name in self.counted and set(found) - held == {"rate"}

    def restores(self, name: str, least: float) -> bool:
        """Whether it is equivalent, and not only because it is nearly constant.

        Two values that hardly vary about a large mean are close to each other whatever they say.

        Args:
            least: must lie below the whole interval of the held-out correlation.
        """
        if not self.equivalent(name):
            return False
        r, at = self.correlation(name)
        return bool(r.lower[at] >= least)

    def consistent(self, name: str) -> bool:
        """Whether it cannot be shown, but every estimate lies within half of its margin."""
        if name not in self.names():
            return False
        row = self.verdict(name)
        within = (abs(e.effect) <= e.margin / 2 for e in row.estimates.values())
        open_ = row.verdict in ("inconclusive", "insufficient")
        return open_ and len(row.estimates) >= 3 and all(within)

    def correlation(self, name: str) -> tuple[Correlation, int]:
        """r of the candidate's held-out values with the baseline's, and the feature's position."""
        for group, sums in self.parts:
            if name in group.names:
                return correlation(sums, self.policy.alpha), group.names.index(name)
        raise KeyError(name)

    def columns(self, names: Sequence[str]) -> PairedSums | None:
        """Sums of some features side by side; None if one was not tried."""
        found = []
        for name in names:
            where = next(((g, s) for g, s in self.parts if name in g.names), None)
            if where is None:
                return None
            found.append(_columns(where[1], [where[0].names.index(name)]))
        parts = [f.name for f in fields(PairedSums) if f.name != "tokens"]
        return PairedSums(
            found[0].tokens,
            *(np.concatenate([getattr(s, part) for s in found], axis=1) for part in parts),
        )

    def figure(self, name: str) -> dict[str, Any] | None:
        """One feature's verdict and estimates as plain JSON values; None if it was not tried."""
        if name not in self.names():
            return None
        row = self.verdict(name)
        return {
            "verdict": row.verdict,
            "documents": row.g_active,
            "estimates": {
                estimand: {
                    key: _number(getattr(e, key)) for key in ("effect", "lower", "upper", "margin")
                }
                for estimand, e in row.estimates.items()
            },
        }


class Trials:
    """Runs trials over one question's activations."""

    def __init__(self, question: DiagnosisQuestion) -> None:
        """Split the clusters into halves; nothing is read before it is needed.

        Raises:
            ValueError: there is not one token key for each token of the sample.
        """
        self.question = question
        sample = question.sample
        self.codes = token_codes(question.token_keys, len(sample.cluster))
        self.fold = assign_folds(sample.cluster, question.seed)
        self.half = (self.fold // 2).astype(np.int8)
        self.clusters = int(sample.cluster.max()) + 1 if len(sample.cluster) else 0
        self.cluster_half = np.zeros(self.clusters, np.int8)
        self.cluster_half[sample.cluster] = self.half
        self._sides: tuple[tuple[str, ...], Sides] | None = None
        self._maps: dict[str, SiteMaps] = {}
        self._values: dict[tuple[tuple[str, ...], bool, int], tuple[tuple[str, ...], Float32]] = {}

    def unreadable(self, name: str) -> str | None:
        """Why a feature cannot be evaluated on the sample; None if it can."""
        question = self.question
        for part in base_parts(name, question.features):
            feature = question.features[part]
            source = question.dictionaries.get(getattr(feature, "dictionary", ""))
            if source is not None and source.architecture == "temporal":
                return f"dictionary {source.name!r} reads whole sequences, which no map can realign"
            site = site_of(feature, question.dictionaries)
            if site not in question.sample.a or site not in question.sample.b:
                return f"no raw activations of {site!r} are stored on both sides"
            widths = {int(side[site].shape[1]) for side in (question.sample.a, question.sample.b)}
            if len(widths) > 1:
                return f"site {site!r} has another width in the candidate"
        return None

    def groups(self, names: Sequence[str]) -> list[Group]:
        """The features by the sites that they need."""
        question = self.question
        tokens = len(question.sample.cluster)
        return make_groups(names, question.features, question.dictionaries, tokens)

    def sides(self, sites: tuple[str, ...]) -> Sides:
        """Both sides' activations; those asked for last are kept."""
        if self._sides is None or self._sides[0] != sites:
            self._sides = None
            sample = self.question.sample
            a, b = ({site: side[site] for site in sites} for side in (sample.a, sample.b))
            self._sides = sites, Sides(a, b, sample.cluster, self.half, self.clusters)
        return self._sides[1]

    def maps(self, site: str) -> SiteMaps:
        """The maps of a site, shared by all its features."""
        if site not in self._maps:

            def read() -> tuple[Float32, Float32]:
                sides = self.sides_of(site)
                return sides.a[site], sides.b[site]

            self._maps[site] = SiteMaps(read, self.fold, self.width(site))
        return self._maps[site]

    def width(self, site: str) -> int:
        """Coordinates of a site."""
        return int(self.sides_of(site).a[site].shape[1])

    def heads(
        self, site: str, names: Sequence[str], changed: Mapping[str, Feature] | None = None
    ) -> SiteHeads:
        """Features of a site, some of them with another definition."""
        question = self.question
        features = {**question.features, **(changed or {})}
        chosen = [features[name] for name in names]
        return SiteHeads(chosen, question.dictionaries, self.width(site))

    def sides_of(self, site: str) -> Sides:
        """Sides that hold a site, whatever else they hold."""
        if self._sides is not None and site in self._sides[0]:
            return self._sides[1]
        return self.sides((site,))

    def run(self, names: Sequence[str], candidate: Callable[[Group], Readers]) -> Trial:
        """Judge features whose candidate values are read in some way.

        Args:
            candidate: gives a group's readers, for fits on the first and on the second half.
        """
        parts = []
        for group in self.groups(names):
            sides = self.sides(group.sites)
            baseline = self.baseline(group)
            sums = group_sums(group, self.question.features, sides, baseline, candidate(group))
            parts.append((group, sums))
        dense = (name for group, _ in parts if not group.sparse for name in group.names)
        return Trial(tuple(parts), self.question.policy, frozenset(dense))

    def baseline(self, group: Group) -> Float32:
        """[n / step, names] a group's baseline values; kept while they fit into `_KEPT_BYTES`."""
        key = (group.sites, group.sparse, group.step)
        names, values = self._values.get(key, ((), None))
        if values is not None and set(group.names) <= set(names):
            if group.names == names:
                return values
            return values[:, [names.index(name) for name in group.names]]
        readers = {s: self.heads(s, group.bases[s]).under() for s in group.sites}
        sides = self.sides(group.sites)
        values = baseline_values(group, self.question.features, sides, readers)
        kept = sum(v.nbytes for k, (_, v) in self._values.items() if k != key)
        if kept + values.nbytes <= _KEPT_BYTES:
            self._values[key] = group.names, values
        return values

    def as_is(self, names: Sequence[str]) -> Trial:
        """The frozen features on the candidate as it is."""

        def readers(group: Group) -> Readers:
            found = {s: self.heads(s, group.bases[s]).under() for s in group.sites}
            return {site: (reader, reader) for site, reader in found.items()}

        return self.run(names, readers)

    def mapped(self, names: Sequence[str], kind: str) -> Trial:
        """The frozen features behind a map of the activations: scale, procrustes or ridge."""

        def readers(group: Group) -> Readers:
            found = {}
            for site in group.sites:
                heads, maps = self.heads(site, group.bases[site]), self.maps(site)
                found[site] = (heads.under(maps.get(kind, 0)), heads.under(maps.get(kind, 1)))
            return found

        return self.run(names, readers)

    def replaced(
        self, names: Sequence[str], fits: tuple[Mapping[str, Feature], Mapping[str, Feature]]
    ) -> Trial:
        """Other definitions in the features' place, one for each half that they were chosen on."""

        def readers(group: Group) -> Readers:
            found = {}
            for site in group.sites:
                first, second = (self.heads(site, group.bases[site], fit) for fit in fits)
                found[site] = (first.under(), second.under())
            return found

        return self.run(names, readers)

    def own_scale(self, trial: Trial, names: Sequence[str]) -> tuple[Trial, dict[str, Array]]:
        """The features' own values scaled by least squares, from the sums as they are.

        Features with a threshold other than 0 that are mostly silent are left out: which tokens
        they are on at depends on the scale. So do the alarms of others, which are not compared.

        Returns:
            The trial, and for each feature the scales fitted on each half and on everything.
        """
        parts, factors = [], {}
        for group, sums in trial.parts:
            chosen = [
                i
                for i, name in enumerate(group.names)
                if name in names
                and (not group.sparse or self.question.features[name].threshold == 0)
            ]
            if not chosen:
                continue
            some = _columns(sums, chosen)
            fits = [
                _ratio(some.sum_ab[use].sum(0), some.sum_bb[use].sum(0))
                for use in (self.cluster_half == 0, self.cluster_half == 1, slice(None))
            ]
            s = np.where(self.cluster_half[:, None] == 0, fits[1], fits[0])
            scaled = replace(
                some,
                sum_b=some.sum_b * s,
                sum_bb=some.sum_bb * s * s,
                sum_ab=some.sum_ab * s,
                co_b=some.co_b * s,
            )
            parts.append((replace(group, names=tuple(group.names[i] for i in chosen)), scaled))
            for at, i in enumerate(chosen):
                factors[group.names[i]] = np.array([fit[at] for fit in fits])
        counted = (n for n in factors if self.question.features[n].threshold == 0)
        return Trial(tuple(parts), self.question.policy, frozenset(counted)), factors


def _columns(sums: PairedSums, chosen: list[int]) -> PairedSums:
    names = [f.name for f in fields(PairedSums) if f.name != "tokens"]
    return PairedSums(sums.tokens, *(getattr(sums, name)[:, chosen] for name in names))


def _ratio(x: Array, y: Array) -> Array:
    return np.divide(x, y, out=np.ones_like(x), where=(y > 0) & (x > 0))


def _number(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)
