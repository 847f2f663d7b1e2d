"""Verdicts, histories and the gate as they are answered."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, computed_field

from app.core.schemas import Output
from app.verdicts.gate import Outcome

VerdictName = Literal["stable", "drifted", "inconclusive", "insufficient", "untrusted", "invalid"]
Change = Literal["rate", "magnitude", "identity", "dead", "born"]
Diagnosis = Literal["rescaled", "rotated", "relocated", "lost", "dictionary_stale", "unexplained"]
EarnsKeep = Literal["yes", "no", "not_shown"]
CausalVerdict = Literal["causal", "correlational", "not_shown", "not_applicable"]
Comparison = Literal["baseline", "previous"]
Sort = Literal["effect", "drift_score", "feature"]

_EVALUATION = "019ab7d2-5c00-7000-8000-000000000003"
_FEATURE = "019ab7d2-5c00-7000-8000-000000000008"
_DIGEST = "7c1f6c0f1d1c6d0a4f7a0e1e0b5d3b0c9f8a7e6d5c4b3a29181716151413121f"
_ESTIMATE = {
    "effect": 0.41,
    "lower": 0.35,
    "upper": 0.47,
    "se": 0.03,
    "df": 119,
    "margin": 0.2,
    "margin_source": "policy",
    "p_drifted": 2e-10,
    "p_stable": 1.0,
}
_VERDICT: dict[str, Any] = {
    "evaluation": _EVALUATION,
    "comparison": "baseline",
    "feature": "phone",
    "feature_id": _FEATURE,
    "verdict": "drifted",
    "change": "identity",
    "changes": ["identity"],
    "diagnosis": "rotated",
    "reason": "1−J is 0.41 (95% interval 0.35 to 0.47), beyond the margin 0.2",
    "estimand": "identity",
    "effect": 0.41,
    "lower": 0.35,
    "upper": 0.47,
    "margin": 0.2,
    "margin_source": "policy",
    "p_drifted": 2e-10,
    "p_stable": 1.0,
    "q_drifted": 2e-9,
    "q_stable": 1.0,
    "sign_test_p": 0.001,
    "active_documents": 120,
    "documents": 141,
    "tokens": 323102,
    "firing_ratio_baseline": 0.011,
    "firing_ratio_candidate": 0.009,
    "concept_auroc_baseline": 0.97,
    "concept_auroc_candidate": 0.91,
    "drift_score": 0.37,
    "token_level": False,
    "earns_keep": "yes",
    "paged": True,
    "slow_drift": False,
    "causal_verdict": "causal",
    "estimates": {"identity": _ESTIMATE},
    "controls": {
        "randomised_model": {
            "passed": True,
            "detail": "with fresh weights it is found drifted: 1−J is 0.99",
            "figures": {"identity": 0.99},
        }
    },
    "baselines": {
        "probe": {"auroc": 0.96, "lower": 0.94, "upper": 0.98},
        "difference_of_means": {"auroc": 0.9, "lower": 0.87, "upper": 0.93},
        "token_lookup": {"auroc": 0.81, "lower": 0.77, "upper": 0.85},
        "earns_keep": "yes",
        "reason": "it is no worse than the best baseline, a refitted probe",
    },
    "causal": {"loss_difference": 0.08, "lower": 0.05, "upper": 0.11},
    "robustness": None,
    "trend": {"weight": 0.2, "points": 6, "value": 0.08, "bound": 0.1},
    "pages": {
        "paged": True,
        "alpha": 0.0031,
        "critical": 4.4,
        "intervals": {"identity": [0.28, 0.54]},
    },
    "diagnosis_evidence": {
        "label": "rotated",
        "reason": "after an orthogonal map at the site it is equivalent on held-out documents",
    },
    "definition_digest": _DIGEST,
    "baseline_snapshot_key": _DIGEST,
    "candidate_snapshot_key": _DIGEST,
    "links": {
        "evaluation": f"/v1/evaluations/{_EVALUATION}",
        "repairs": f"/v1/repairs?evaluation={_EVALUATION}",
        "history": f"/v1/features/{_FEATURE}/history",
    },
}


class VerdictOut(Output):
    """What one comparison says of one feature, with everything that it rests on."""

    model_config = ConfigDict(
        from_attributes=True, populate_by_name=True, json_schema_extra={"examples": [_VERDICT]}
    )

    evaluation: UUID = Field(validation_alias="evaluation_id")
    comparison: Comparison
    feature: str
    feature_id: UUID | None
    verdict: VerdictName
    change: Change | None
    changes: list[str]
    diagnosis: Diagnosis | None
    reason: str
    estimand: str | None = Field(description="The leading estimand; effect to margin are its own")
    effect: float | None
    lower: float | None
    upper: float | None
    margin: float | None
    margin_source: str | None = Field(
        description="`policy`, or `noise_floor:` and the null update that moved it most"
    )
    p_drifted: float | None
    p_stable: float | None
    q_drifted: float | None
    q_stable: float | None
    sign_test_p: float | None
    active_documents: int
    documents: int
    tokens: int
    firing_ratio_baseline: float | None
    firing_ratio_candidate: float | None
    concept_auroc_baseline: float | None
    concept_auroc_candidate: float | None
    drift_score: float | None = Field(
        description="From 0, the noise floor, to 1, no better than a randomised model"
    )
    token_level: bool | None = Field(
        description="It survives with only the embeddings left, so it reads tokens, not what the "
        "model computes; null where the control did not run"
    )
    earns_keep: EarnsKeep | None = Field(
        description="Whether it holds up beside simple read-outs of its concept; null without one"
    )
    paged: bool = Field(
        description="Beyond a margin by simultaneous intervals, at the level that the false-page "
        "budget gave this evaluation"
    )
    slow_drift: bool = Field(
        description="Its moving average over checkpoints has left its bound, though perhaps no "
        "single step did"
    )
    causal_verdict: CausalVerdict | None = Field(
        description="Whether its direction does something in the model; null where not asked"
    )
    estimates: dict[str, Any]
    controls: dict[str, Any] | None = Field(
        description="Control → `passed` (null: cannot be told), `detail`, `figures`"
    )
    baselines: dict[str, Any] | None
    causal: dict[str, Any] | None
    robustness: dict[str, Any] | None = Field(
        description="Agreement across the variants of a document, on each side"
    )
    trend: dict[str, Any] | None
    pages: dict[str, Any] | None = Field(
        description="`paged`, `alpha`, `critical`, `intervals`: estimand → [lower, upper]"
    )
    diagnosis_evidence: dict[str, Any] | None
    definition_digest: str
    baseline_snapshot_key: str | None
    candidate_snapshot_key: str | None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def links(self) -> dict[str, str]:
        """Where to go on."""
        found = {
            "evaluation": f"/v1/evaluations/{self.evaluation}",
            "repairs": f"/v1/repairs?evaluation={self.evaluation}",
        }
        if self.feature_id is not None:
            found["history"] = f"/v1/features/{self.feature_id}/history"
        return found


class ComparisonOut(Output):
    """One comparison of an evaluation in a few numbers, over all its features."""

    features: int
    counts: dict[str, int] = Field(description="Features by verdict")
    drifted_ratio: float | None = Field(description="Of the features that could be judged")
    drifted_lower: float | None
    drifted_upper: float | None
    paged: int = Field(description="Features that someone is woken for")
    slow_drift: int = Field(description="Watched features that drift slowly")


class MonitorHistoryItem(Output):
    """One evaluation in a monitor's history."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "evaluation": _EVALUATION,
                    "checkpoint": "2026-11-22",
                    "baseline": "2026-11-01",
                    "previous": "2026-11-15",
                    "feature_set_version": 1,
                    "state": "succeeded",
                    "created_at": "2026-11-22T09:31:00Z",
                    "finished_at": "2026-11-22T09:31:40Z",
                    "comparisons": {
                        "baseline": {
                            "features": 12,
                            "counts": {"stable": 11, "drifted": 1},
                            "drifted_ratio": 0.083,
                            "drifted_lower": 0.015,
                            "drifted_upper": 0.354,
                            "paged": 1,
                            "slow_drift": 0,
                        }
                    },
                    "failed_controls": [],
                }
            ]
        }
    )

    evaluation: UUID
    checkpoint: str
    baseline: str
    previous: str | None
    feature_set_version: int | None
    state: str
    created_at: datetime
    finished_at: datetime | None
    comparisons: dict[Comparison, ComparisonOut]
    failed_controls: list[str]


class FeatureHistoryItem(Output):
    """One verdict in the history of a feature's name."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "monitor": "support-contact-data",
                    "checkpoint": "2026-11-22",
                    "feature_set_version": 1,
                    "created_at": "2026-11-22T09:31:00Z",
                    "verdict": _VERDICT,
                }
            ]
        }
    )

    monitor: str
    checkpoint: str
    feature_set_version: int
    created_at: datetime
    verdict: VerdictOut


class ReasonOut(Output):
    """One thing that keeps the gate from `pass`."""

    outcome: Outcome
    monitor: str | None
    evaluation: UUID | None = Field(description="The evaluation that says so")
    baseline: str | None = Field(description="The checkpoint that it was decided against")
    code: str
    detail: str
    features: list[str] = Field(description="At most 20, the worst first")


class StandingOut(Output):
    """What the newest evaluation of one enabled monitor says."""

    monitor: str
    evaluation: UUID | None
    baseline: str | None = Field(description="The checkpoint that it was decided against")
    state: str | None
    features: int
    counts: dict[str, int]
    drifted_ratio: float | None = Field(
        description="Of the features that could be judged: drifted, stable or inconclusive"
    )
    max_drifted_ratio: float
    unproven_ratio: float | None
    max_unproven_ratio: float
    failed_controls: list[str]
    pages: list[str] = Field(description="Features that someone is woken for; at most 20")
    slow_drift: list[str] = Field(description="Features that drift slowly; at most 20")
    held_by_benign: list[str] = Field(
        description="Features that are stable only because a benign mark raised their margins; "
        "at most 20"
    )
    notes: list[str] = Field(
        description="What a reader must know beside the verdicts, also of a `pass`: margins that a "
        "noise floor has raised, controls that did not run, tokens that were left out"
    )


class GateOut(Output):
    """The answer that a pipeline waits for."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "gate": "fail",
                    "model": "support-bot",
                    "checkpoint": "2026-11-22",
                    "reasons": [
                        {
                            "outcome": "fail",
                            "monitor": "support-contact-data",
                            "evaluation": _EVALUATION,
                            "baseline": "2026-11-01",
                            "code": "drifted",
                            "detail": "1 of 12 features have drifted from the baseline "
                            "'2026-11-01'; the policy lets 0.0% pass",
                            "features": ["phone"],
                        }
                    ],
                    "monitors": [
                        {
                            "monitor": "support-contact-data",
                            "evaluation": _EVALUATION,
                            "baseline": "2026-11-01",
                            "state": "succeeded",
                            "features": 12,
                            "counts": {"stable": 11, "drifted": 1},
                            "drifted_ratio": 0.083,
                            "max_drifted_ratio": 0.0,
                            "unproven_ratio": 0.0,
                            "max_unproven_ratio": 0.0,
                            "failed_controls": [],
                            "pages": ["phone"],
                            "slow_drift": [],
                            "held_by_benign": [],
                            "notes": [],
                        }
                    ],
                }
            ]
        }
    )

    gate: Outcome
    model: str
    checkpoint: str
    reasons: list[ReasonOut] = Field(description="Empty on `pass`; the deciding ones first")
    monitors: list[StandingOut] = Field(description="Every enabled monitor of the model")
