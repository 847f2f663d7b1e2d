"""A feature's line over checkpoints: what a chart draws, without what it rests on."""

from datetime import datetime
from uuid import UUID

from pydantic import ConfigDict, Field

from app.core.schemas import Output
from app.verdicts.schemas import Comparison, VerdictName


class SeriesPoint(Output):
    """One verdict on a feature, as a point of its line over checkpoints."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={
            "examples": [
                {
                    "evaluation": "019ab7d2-5c00-7000-8000-000000000003",
                    "created_at": "2026-11-22T09:31:00Z",
                    "monitor": "support-contact-data",
                    "checkpoint": "2026-11-22",
                    "feature_set_version": 1,
                    "comparison": "baseline",
                    "verdict": "drifted",
                    "estimand": "identity",
                    "effect": 0.41,
                    "lower": 0.35,
                    "upper": 0.47,
                    "margin": 0.2,
                    "drift_score": 0.37,
                    "paged": True,
                    "slow_drift": False,
                }
            ]
        },
    )

    evaluation: UUID
    created_at: datetime
    monitor: str
    checkpoint: str
    feature_set_version: int
    comparison: Comparison
    verdict: VerdictName
    estimand: str | None = Field(description="The leading estimand; effect to margin are its own")
    effect: float | None
    lower: float | None
    upper: float | None
    margin: float | None
    drift_score: float | None
    paged: bool
    slow_drift: bool
