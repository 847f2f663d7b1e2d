"""From verdicts in memory to the rows and figures that are stored."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from workers.comparison import ComparisonResult
from workers.drift.records import FeatureVerdict
from workers.drift.score import drift_scores
from workers.pipeline.case import Case, numeric_policy
from workers.pipeline.controls import ControlEvidence
from workers.pipeline.diagnosis import Findings
from workers.pipeline.history import SlowDrift
from workers.pipeline.notes import controls_left_out, stable_by_benign_floor, stable_by_floor
from workers.snapshots import SnapshotReader

TOP_ROWS = 200
"""Latents of a whole dictionary with a row of their own; all others are in the Parquet artifact."""
SCORE_LEVELS = (0.1, 0.5, 0.9, 0.99)
"""Quantiles of the drift score that are exported."""


@dataclass(frozen=True)
class Evidence:
    """What is known of the features beside one comparison's estimates."""

    controls: ControlEvidence
    causal: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    trends: Mapping[str, SlowDrift] = field(default_factory=dict)
    findings: Findings = field(default_factory=Findings)


def verdict_rows(
    comparison: str, result: ComparisonResult, case: Case, evidence: Evidence
) -> Iterator[dict[str, Any]]:
    """Rows for `verdicts`: all features of a set; of a dictionary the top ones and the watched.

    Args:
        comparison: `baseline` or `previous`, the role of the other side.
    """
    target = case.question.target
    ids = {feature.name: feature.id for feature in target.features}
    digests = case.definition_digests
    scores = drift_scores(result.verdicts, evidence.controls.randomised, evidence.controls.floor)
    score_of = dict(zip(result.verdicts.names, scores.tolist(), strict=True))
    for record in _chosen(result, case):
        name = record.name
        yield {
            "comparison": comparison,
            "feature": name,
            "feature_id": ids.get(name),
            "verdict": record.verdict,
            "change": record.change,
            "changes": list(record.changes),
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
            "drift_score": None if np.isnan(score_of[name]) else score_of[name],
            "estimates": {e: asdict(found) for e, found in record.estimates.items()},
            **_beside(record, result, evidence),
            "definition_digest": digests[name],
            "baseline_snapshot_key": case.key(comparison),
            "candidate_snapshot_key": case.key("candidate"),
        }


def _beside(record: FeatureVerdict, result: ComparisonResult, evidence: Evidence) -> dict[str, Any]:
    """The columns that no estimate of this comparison fills."""
    name = record.name
    baselines = evidence.controls.baselines.get(name)
    causal = evidence.causal.get(name)
    trend = evidence.trends.get(name)
    diagnosis = evidence.findings.diagnoses.get(name)
    pages = result.pages.of(name) if result.pages is not None else None
    robustness = result.robustness.get(name) if result.robustness is not None else None
    return {
        "token_level": evidence.controls.token_level(name),
        "earns_keep": baselines["earns_keep"] if baselines else None,
        "paged": bool(pages["paged"]) if pages else False,
        "slow_drift": trend.alarm if trend else False,
        "causal_verdict": causal["verdict"] if causal else None,
        "diagnosis": diagnosis.label if diagnosis else None,
        "controls": evidence.controls.of(name),
        "baselines": baselines,
        "causal": causal,
        "robustness": None if robustness is None else dict(robustness),
        "trend": trend.figures if trend else None,
        "pages": pages,
        "diagnosis_evidence": diagnosis.to_json() if diagnosis else None,
    }


def _chosen(result: ComparisonResult, case: Case) -> Iterable[FeatureVerdict]:
    verdicts = result.verdicts
    if case.question.target.whole is None:
        return verdicts
    chosen = {record.name: record for record in verdicts.top(TOP_ROWS)}
    position = {name: at for at, name in enumerate(verdicts.names)}
    for name in case.question.watchlist:
        if name in position and name not in chosen:
            chosen[name] = verdicts[position[name]]
    return chosen.values()


def comparison_summary(result: ComparisonResult, case: Case, evidence: Evidence) -> dict[str, Any]:
    """The whole comparison in a few numbers, over all features, stored as rows or not."""
    scores = drift_scores(result.verdicts, evidence.controls.randomised, evidence.controls.floor)
    known = scores[np.isfinite(scores)]
    policy = case.question.policy
    target = case.question.target
    return {
        **asdict(result.summary),
        "drift_score_quantiles": {
            str(level): float(np.quantile(known, level)) if len(known) else None
            for level in SCORE_LEVELS
        },
        "paged": int(result.pages.paged.sum()) if result.pages is not None else 0,
        "slow_drift": sum(trend.alarm for trend in evidence.trends.values()),
        "stable_by_benign_floor": stable_by_benign_floor(result.verdicts, numeric_policy(policy)),
        "notes": [
            *result.notes,
            *stable_by_floor(result.verdicts, numeric_policy(policy)),
            *controls_left_out(
                policy, labelled=bool(target.concepts), whole=target.whole is not None
            ),
        ],
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
