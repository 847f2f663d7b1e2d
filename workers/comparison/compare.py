"""A comparison: two snapshots in, a verdict on every feature out."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.comparison.checks import (
    candidate_fvu,
    check_comparable,
    fvu_gate,
    unmeasured_fvu,
)
from workers.comparison.concepts import concept_evidence
from workers.comparison.contexts import passages
from workers.comparison.corpus import CorpusLabels
from workers.comparison.pager import Pager
from workers.comparison.pairing import NotComparableError, Pairs, TokenPairs
from workers.comparison.robustness import robustness_evidence
from workers.comparison.stream import MEMORY_BYTES, dense_totals, sparse_blocks
from workers.comparison.words import WordPairs
from workers.drift.activity import Activity, count_activity
from workers.drift.alarms import alarm_rates
from workers.drift.estimands import Estimates, dense_estimates, sparse_estimates
from workers.drift.ladder import Blocked, judge
from workers.drift.pages import PageRequest, Pages
from workers.drift.policy import Estimand, Policy
from workers.drift.sums import PairedSums
from workers.drift.verdicts import Summary, VerdictTable, summarise
from workers.snapshots import Columns, SnapshotReader

_JACKKNIFE_BYTES = 8 << 20
"""One array of clusters × features of the jackknife, which needs about ten of them."""

Found = Mapping[Estimand, tuple[NDArray[np.intp], Estimates]]


@dataclass(frozen=True)
class ComparisonResult:
    """The verdicts of one comparison."""

    verdicts: VerdictTable
    summary: Summary
    notes: tuple[str, ...]
    """What a reader must know beside the verdicts, one sentence each."""
    invalid_reason: str | None
    """Why the snapshots cannot be compared; None if they can."""
    tokens: int
    """Tokens (or words) that counted."""
    special_tokens: int
    outlier_tokens: int
    pages: Pages | None = None
    """None unless asked for, and where the snapshots cannot be compared."""
    robustness: Mapping[str, Mapping[str, Any]] | None = None
    """By feature, agreement with the documents' variants on both sides by perturbation, for JSON;
    None where the corpus has no variants."""
    passages: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    """By feature, where it changed most and where it was strongest, for JSON."""


def compare_snapshots(
    baseline: SnapshotReader,
    candidate: SnapshotReader,
    documents: CorpusLabels,
    policy: Policy,
    *,
    concepts: Mapping[str, str] | None = None,
    dictionaries: Mapping[str, Collection[str]] | None = None,
    blocked: Mapping[str, Blocked] | None = None,
    numerics_may_differ: bool = False,
    pages: PageRequest | None = None,
    shown: int = 0,
    watchlist: Sequence[str] = (),
    memory_bytes: int = MEMORY_BYTES,
) -> ComparisonResult:
    """Judge every feature of two snapshots.

    Snapshots that cannot be compared are no error: all verdicts are `invalid`, with the reason.

    Args:
        documents: clusters, labels, and texts where the tokenizers differ.
        concepts: the concept of each feature that has one.
        dictionaries: the dictionaries of each feature that reads any, for the FVU gate.
        blocked: verdicts that a control has already given.
        numerics_may_differ: for a numerics control.
        pages: which features may page, for simultaneous intervals. Features that are blocked or
            have too few active documents never page.
        shown: of how many features passages are looked for: those of the watchlist, then the most
            pressing ones.
        memory_bytes: bound of the sums held at once; a smaller one costs more passes.

    Raises:
        EvaluationError: a snapshot is damaged.
    """
    columns = baseline.columns
    try:
        check_comparable(
            baseline.manifest, candidate.manifest, numerics_may_differ=numerics_may_differ
        )
        pairs = _pair(baseline, candidate, documents)
    except NotComparableError as error:
        return _invalid(columns, policy, str(error))

    gate = fvu_gate(baseline.manifest, policy, dictionaries or {})
    blocked = {**(blocked or {}), **gate}
    pager = Pager(pages, _names(columns), blocked, policy, documents.clusters) if pages else None
    activity, found = _estimates(pairs, columns, documents.clusters, memory_bytes, pager, policy)
    notes = list(pairs.notes)
    auroc = None
    if concepts:
        evidence = concept_evidence(pairs, columns, concepts, documents, policy)
        notes.extend(evidence.notes)
        auroc = evidence.auroc
        found["concept"] = (evidence.where, evidence.estimates)
        if pager:
            active = activity.active_clusters[evidence.where]
            pager.add("concept", evidence.where, evidence.estimates, active)
    variants = robustness_evidence(pairs, columns, documents, policy, pager)
    if variants:
        found["robustness"] = (variants.where, variants.estimates)
    units = pairs.units
    if units.outliers:
        notes.append(f"{units.outliers} {pairs.unit} of outlier norm on both sides were left out.")
    notes.extend(unmeasured_fvu(baseline.manifest, dictionaries or {}))
    notes.extend(candidate_fvu(candidate.manifest, policy, dictionaries or {}))
    table = judge(
        _names(columns),
        activity,
        found,
        policy,
        auroc=auroc,
        blocked=blocked,
    )
    return ComparisonResult(
        table,
        summarise(table, policy.alpha),
        tuple(notes),
        None,
        int(np.count_nonzero(units.cluster >= 0)),
        units.special,
        units.outliers,
        pager.decide(table) if pager else None,
        variants.figures if variants else None,
        passages(pairs, columns, documents, _shown(table, shown, watchlist)) if shown else {},
    )


def _shown(table: VerdictTable, number: int, watchlist: Sequence[str]) -> list[str]:
    pressing = (table.names[i] for i in table.order()[: number + len(watchlist)])
    return list(dict.fromkeys((*watchlist, *pressing)))[:number]


def _pair(baseline: SnapshotReader, candidate: SnapshotReader, documents: CorpusLabels) -> Pairs:
    tokenizers = [r.manifest.inputs.get("tokenizer_digest") for r in (baseline, candidate)]
    if tokenizers[0] == tokenizers[1]:
        return TokenPairs(baseline, candidate, documents)
    return WordPairs(baseline, candidate, documents)


def _estimates(
    pairs: Pairs,
    columns: Columns,
    clusters: int,
    memory_bytes: int,
    pager: Pager | None,
    policy: Policy,
) -> tuple[Activity, dict[Estimand, tuple[NDArray[np.intp], Estimates]]]:
    """Counts and estimates of all features, sparse ones first."""
    activities: list[Activity] = []
    parts: dict[Estimand, list[Estimates]] = {}
    alarms: list[tuple[NDArray[np.intp], Estimates]] = []

    def take(sums: PairedSums, *, dense: bool) -> None:
        features = sums.both.shape[1]
        step = max(_JACKKNIFE_BYTES // (8 * max(clusters, 1)), 1)
        for first in range(0, features, step):
            piece = sums.select(slice(first, first + step))
            activity = count_activity(piece, dense=dense)
            where = np.arange(len(activity.dense)) + sum(len(a.dense) for a in activities)
            activities.append(activity)
            asked = pager is not None and bool(pager.wanted[where].any())
            estimate = dense_estimates if dense else sparse_estimates
            for estimand, estimates in estimate(piece, influence=asked).items():
                if pager is not None and asked:
                    pager.add(estimand, where, estimates, activity.active_clusters)
                parts.setdefault(estimand, []).append(replace(estimates, influence=None))
            if dense and (
                found := alarm_rates(piece, activity, policy, len(columns.dense), influence=asked)
            ):
                if pager is not None and asked:
                    pager.add("rate", where[found.where], found.rate, found.active)
                alarms.append((where[found.where], replace(found.rate, influence=None)))

    for _, sums in sparse_blocks(pairs, clusters, _thresholds(columns.sparse), memory_bytes):
        take(sums, dense=False)
    if columns.dense:
        take(dense_totals(pairs, clusters, _thresholds(columns.dense)), dense=True)
    sparse = np.arange(len(columns.sparse))
    dense = np.arange(len(columns.dense)) + len(sparse)
    merged = {
        estimand: (
            dense if estimand in ("shift", "scale", "identity_dense") else sparse,
            Estimates.concatenate(pieces),
        )
        for estimand, pieces in parts.items()
    }
    if alarms:
        rates = [merged["rate"], *alarms] if "rate" in merged else alarms
        merged["rate"] = (
            np.concatenate([where for where, _ in rates]),
            Estimates.concatenate([estimates for _, estimates in rates]),
        )
    return Activity.concatenate(activities), merged


def _invalid(columns: Columns, policy: Policy, reason: str) -> ComparisonResult:
    names = _names(columns)
    nothing = PairedSums.zeros(0, len(names))
    table = judge(
        names,
        count_activity(nothing, dense=False),
        {},
        policy,
        blocked=dict.fromkeys(names, Blocked("invalid", reason)),
    )
    return ComparisonResult(table, summarise(table, policy.alpha), (), reason, 0, 0, 0)


def _names(columns: Columns) -> tuple[str, ...]:
    return tuple(column.name for column in (*columns.sparse, *columns.dense))


def _thresholds(columns: tuple) -> NDArray[np.float64]:
    return np.array([column.threshold for column in columns], np.float64)
