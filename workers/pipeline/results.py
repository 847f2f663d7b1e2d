"""From verdicts in memory to the rows and figures that are stored."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from workers.comparison import ComparisonResult
from workers.drift.records import FeatureVerdict
from workers.drift.verdicts import VerdictTable
from workers.pipeline.targets import Target
from workers.snapshots import SnapshotReader

TOP_ROWS = 200
"""Latents of a whole dictionary with a row of their own; all others are in the Parquet artifact."""


def verdict_rows(
    comparison: str,
    verdicts: VerdictTable,
    target: Target,
    watchlist: Iterable[str],
    *,
    baseline_key: str,
    candidate_key: str,
) -> Iterator[dict[str, Any]]:
    """Rows for `verdicts`: all features of a set; of a dictionary the top ones and the watched.

    Args:
        baseline_key: key of the snapshot on the other side of the comparison.
    """
    ids = {feature.name: feature.id for feature in target.features}
    digests = {feature.name: feature.definition_digest for feature in target.features}
    for record in _chosen(verdicts, target, watchlist):
        digest = target.whole.digest if target.whole is not None else digests[record.name]
        yield {
            "comparison": comparison,
            "feature": record.name,
            "feature_id": ids.get(record.name),
            "verdict": record.verdict,
            "change": record.change,
            "changes": list(record.changes),
            "diagnosis": None,
            "reason": record.reason,
            "estimand": record.estimand,
            "effect": record.effect,
            "lower": record.lower,
            "upper": record.upper,
            "margin": record.margin,
            "margin_source": record.margin_source,
            "p_drifted": record.p_drifted,
            "p_stable": record.p_stable,
            "q_drifted": record.q_drifted,
            "q_stable": record.q_stable,
            "sign_test_p": record.sign_test_p,
            "active_documents": record.g_active,
            "documents": record.n_documents,
            "tokens": record.n_tokens,
            "firing_ratio_baseline": record.firing_ratio_baseline,
            "firing_ratio_candidate": record.firing_ratio_candidate,
            "concept_auroc_baseline": record.concept_auroc_baseline,
            "concept_auroc_candidate": record.concept_auroc_candidate,
            "drift_score": None,
            "token_level": None,
            "earns_keep": None,
            "paged": False,
            "slow_drift": False,
            "causal_verdict": None,
            "estimates": {name: asdict(found) for name, found in record.estimates.items()},
            "controls": None,
            "baselines": None,
            "causal": None,
            "robustness": None,
            "trend": None,
            "pages": None,
            "diagnosis_evidence": None,
            "definition_digest": digest or "",
            "baseline_snapshot_key": baseline_key,
            "candidate_snapshot_key": candidate_key,
        }


def _chosen(
    verdicts: VerdictTable, target: Target, watchlist: Iterable[str]
) -> Iterable[FeatureVerdict]:
    if target.whole is None:
        return verdicts
    chosen = {record.name: record for record in verdicts.top(TOP_ROWS)}
    position = {name: at for at, name in enumerate(verdicts.names)}
    for name in watchlist:
        if name in position and name not in chosen:
            chosen[name] = verdicts[position[name]]
    return chosen.values()


def comparison_summary(result: ComparisonResult) -> dict[str, Any]:
    """The whole comparison in a few numbers, over all features, stored as rows or not."""
    return {
        **asdict(result.summary),
        "notes": list(result.notes),
        "invalid_reason": result.invalid_reason,
        "tokens": result.tokens,
        "special_tokens": result.special_tokens,
        "outlier_tokens": result.outlier_tokens,
    }


def health_rows(role: str, reader: SnapshotReader) -> Iterator[dict[str, Any]]:
    """Rows for `dictionary_health`: how well each dictionary reconstructs one side."""
    for name, figures in reader.manifest.health.items():
        yield {
            "role": role,
            "dictionary": name,
            "fvu": figures.get("fvu"),
            "l0": figures.get("l0"),
            "dead_ratio": figures.get("dead_ratio"),
            "figures": figures,
        }
