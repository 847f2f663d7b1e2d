"""Verdicts: one record per feature, kept as columns until somebody reads a row."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import overload

import numpy as np
from numpy.typing import NDArray

from workers.drift.activity import Activity
from workers.drift.inference import Inference
from workers.drift.multiplicity import wilson
from workers.drift.policy import ESTIMANDS, Estimand
from workers.drift.reasons import with_reason
from workers.drift.records import (
    CHANGE_OF,
    VERDICTS,
    Change,
    Estimate,
    FeatureVerdict,
    Verdict,
)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class VerdictTable(Sequence[FeatureVerdict]):
    """The verdicts of a comparison, in the order of its features; all arrays are [features]."""

    names: tuple[str, ...]
    verdict: NDArray[np.str_]
    leading: NDArray[np.intp]
    """Position in `ESTIMANDS`, −1 for none."""
    changed: NDArray[np.bool_]
    """[features, estimands] which estimands of a drifted feature changed."""
    activity: Activity
    inference: Mapping[Estimand, Inference]
    p_drifted: Array
    p_stable: Array
    q_drifted: Array
    q_stable: Array
    auroc_a: Array
    auroc_b: Array
    enough: NDArray[np.bool_]
    """Active in enough documents to be judged, and for its intervals to cover what they claim."""
    given_reasons: Mapping[str, str] = field(default_factory=dict)
    """Of features whose verdict was given to the ladder rather than found by it."""
    confidence: float = 0.95

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> FeatureVerdict: ...
    @overload
    def __getitem__(self, index: slice) -> list[FeatureVerdict]: ...
    def __getitem__(self, index: int | slice) -> FeatureVerdict | list[FeatureVerdict]:
        if isinstance(index, slice):
            return [self._row(i) for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self._row(index % len(self))

    def __iter__(self) -> Iterator[FeatureVerdict]:
        return (self._row(i) for i in range(len(self)))

    def by_name(self, name: str) -> FeatureVerdict:
        """The verdict on a feature.

        Raises:
            ValueError: no feature has that name.
        """
        return self._row(self.names.index(name))

    @cached_property
    def excess(self) -> Array:
        """[features] effect of the leading estimand in units of its margin; 0 where unknown."""
        result = np.zeros(len(self))
        for position, estimand in enumerate(ESTIMANDS):
            if estimand in self.inference:
                here, found = self.leading == position, self.inference[estimand]
                result[here] = np.abs(found.effect / found.margin)[here]
        return np.nan_to_num(result)

    def limits(self, estimand: Estimand) -> tuple[Array, Array]:
        """Both ends of an estimand's interval; NaN where there is none that holds its promise."""
        found = self.inference[estimand]
        lower, upper = (np.where(self.enough, x, np.nan) for x in (found.lower, found.upper))
        return lower, upper

    def order(self) -> NDArray[np.intp]:
        """Positions, the most pressing first: by verdict, then p_drifted, then excess."""
        rank = np.select([self.verdict == v for v in VERDICTS], range(len(VERDICTS)))
        return np.lexsort((-self.excess, np.nan_to_num(self.p_drifted, nan=1.0), rank))

    def top(self, count: int) -> list[FeatureVerdict]:
        """The most pressing features, at most `count`."""
        return [self._row(int(i)) for i in self.order()[:count]]

    def change_of(self, index: int) -> tuple[Change, ...]:
        """How a feature drifted, the leading change first; empty for other verdicts."""
        if self.verdict[index] != "drifted":
            return ()
        if self.activity.dead[index]:
            return ("dead",)
        if self.activity.born[index]:
            return ("born",)
        first = CHANGE_OF[ESTIMANDS[self.leading[index]]]
        others = (CHANGE_OF[ESTIMANDS[k]] for k in np.flatnonzero(self.changed[index]))
        return tuple(dict.fromkeys((first, *others)))

    def _row(self, i: int) -> FeatureVerdict:
        activity = self.activity
        estimates = {
            e: _estimate(found, i, told=bool(self.enough[i]))
            for e, found in self.inference.items()
            if found.known[i]
        }
        leading = ESTIMANDS[self.leading[i]] if self.leading[i] >= 0 else None
        lead = estimates.get(leading) if leading else None
        changes = self.change_of(i)
        row = FeatureVerdict(
            name=self.names[i],
            verdict=_verdict(str(self.verdict[i])),
            change=changes[0] if changes else None,
            changes=changes,
            reason=self.given_reasons.get(self.names[i], ""),
            estimand=leading,
            effect=lead.effect if lead else None,
            lower=lead.lower if lead else None,
            upper=lead.upper if lead else None,
            margin=lead.margin if lead else None,
            margin_source=lead.margin_source if lead else None,
            p_drifted=_optional(self.p_drifted[i]),
            p_stable=_optional(self.p_stable[i]),
            q_drifted=_optional(self.q_drifted[i]),
            q_stable=_optional(self.q_stable[i]),
            g_active=int(activity.active_clusters[i]),
            n_documents=int(activity.clusters[i]),
            n_tokens=int(activity.tokens[i]),
            firing_ratio_baseline=float(activity.firing_a[i]),
            firing_ratio_candidate=float(activity.firing_b[i]),
            sign_test_p=float(activity.sign_test_p[i]),
            concept_auroc_baseline=_optional(self.auroc_a[i]),
            concept_auroc_candidate=_optional(self.auroc_b[i]),
            estimates=estimates,
        )
        return row if row.reason else with_reason(row, self.confidence)


@dataclass(frozen=True)
class Summary:
    """A whole comparison in a few numbers."""

    features: int
    counts: dict[Verdict, int]
    changes: dict[Change, int]
    """Of the drifted features, by leading change."""
    judged: int
    """Features that the data could decide on: drifted, stable or inconclusive."""
    drifted_ratio: float | None
    """drifted / judged."""
    drifted_lower: float | None
    """Wilson interval of `drifted_ratio`, for features drawn from the same dictionary or set.

    It treats features as independent; correlated features make it too narrow.
    """
    drifted_upper: float | None
    excess_quantiles: dict[str, float]
    """Of |effect|/margin of the judged features' leading estimand."""


def summarise(table: VerdictTable, alpha: float = 0.05) -> Summary:
    """Count the verdicts of a comparison."""
    counts = Counter(table.verdict.tolist())
    drifted = np.flatnonzero(table.verdict == "drifted")
    changes: Counter[Change] = Counter(table.change_of(int(i))[0] for i in drifted)
    judged = np.isin(table.verdict, ("drifted", "stable", "inconclusive"))
    total = int(judged.sum())
    interval = wilson(len(drifted), total, alpha)
    levels = (0.1, 0.5, 0.9, 0.99)
    return Summary(
        features=len(table),
        counts={verdict: counts.get(verdict, 0) for verdict in VERDICTS},
        changes=dict(changes),
        judged=total,
        drifted_ratio=len(drifted) / total if total else None,
        drifted_lower=interval[0] if interval else None,
        drifted_upper=interval[1] if interval else None,
        excess_quantiles={
            str(level): float(np.quantile(table.excess[judged], level)) for level in levels
        }
        if total
        else {},
    )


def _estimate(found: Inference, i: int, *, told: bool) -> Estimate:
    return Estimate(
        effect=float(found.effect[i]),
        lower=float(found.lower[i]) if told else None,
        upper=float(found.upper[i]) if told else None,
        se=float(found.se[i]),
        df=float(found.df[i]),
        margin=float(found.margin[i]),
        margin_source=str(found.margin_source[i]),
        p_drifted=float(found.p_drifted[i]),
        p_stable=float(found.p_stable[i]),
    )


def _optional(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _verdict(value: str) -> Verdict:
    return next(v for v in VERDICTS if v == value)
