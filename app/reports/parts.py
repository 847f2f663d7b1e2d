"""The smaller parts of a report's view-model."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.verdicts.schemas import VerdictName


class Part(BaseModel):
    """The base of everything in a report."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Reason(Part):
    """One thing that keeps the verdict from `pass`."""

    outcome: Literal["pending", "fail", "inconclusive", "pass"]
    code: str
    detail: str
    features: tuple[str, ...]


class ControlLine(Part):
    """A negative control of the whole evaluation."""

    control: str
    done: str = Field(description="What is done, and what must come of it")
    outcome: Literal["held", "failed", "not_told", "left_out"]
    detail: str
    failed_for: tuple[str, ...] = Field(description="Features that it failed for, at most 20")
    figures: dict[str, Any]


class FeatureControl(Part):
    """A negative control of one feature."""

    control: str
    outcome: Literal["held", "failed", "not_told"]
    detail: str


class EstimateLine(Part):
    """One estimand of one feature."""

    estimand: str
    meaning: str
    scale: Literal["log_ratio", "plain"] = Field(
        description="`log_ratio`: the exponential is the ratio that a text shows"
    )
    effect: float
    lower: float | None
    upper: float | None
    interval_missing: str | None = Field(description="Why there is no interval")
    se: float | None
    df: float | None
    margin: float
    margin_source: str = Field(description="`policy`, or `noise_floor:` and what measured it")
    margin_meaning: str
    p_drifted: float | None
    p_stable: float | None
    page_lower: float | None = Field(description="Simultaneous interval that pages rest on")
    page_upper: float | None
    finding: Literal["beyond", "within", "open"] = Field(
        description="Whether the interval lies beyond the margin, within it, or neither"
    )


class BaselineLine(Part):
    """A simple read-out of the concept beside the feature."""

    baseline: str
    auroc: float | None
    lower: float | None
    upper: float | None
    difference: float | None = Field(description="The feature's AUROC less this one's")
    difference_lower: float | None
    difference_upper: float | None


class Baselines(Part):
    """Does it earn its keep? On the baseline checkpoint, held out."""

    concept: str | None
    earns_keep: str | None
    reason: str
    auroc: float | None
    lower: float | None
    upper: float | None
    margin: float | None
    tokens: int | None
    lines: tuple[BaselineLine, ...]


class Causal(Part):
    """Does its direction do anything in the model?"""

    verdict: str
    reason: str
    effect: float | None = Field(description="KL in nats beyond random directions of equal size")
    lower: float | None
    upper: float | None
    ratio: float | None
    ratio_lower: float | None
    ratio_upper: float | None
    change: str | None
    changed: bool | None
    steering_cosine: float | None = Field(
        description="How far steering shifts the logits where it did: 1 the same way"
    )
    steering_lower: float | None
    steering_upper: float | None
    steering: str | None


class RobustnessLine(Part):
    """Agreement between documents and their variants of one kind."""

    perturbation: str
    pairs: int
    baseline: float | None
    candidate: float | None


class Diagnosis(Part):
    """Why it drifted."""

    label: str
    meaning: str
    reason: str
    no_repair: str | None = Field(description="Why no repair of its own is proposed")


class Trend(Part):
    """The moving average over checkpoints."""

    alarm: bool
    estimand: str | None
    level: float | None
    limit: float | None
    checkpoints: int | None


class Page(Part):
    """The simultaneous intervals that decide whether someone is woken."""

    alpha: float | None
    critical: float | None = Field(description="Half-width of the intervals in standard errors")


class Step(Part):
    """What the comparison with the previous checkpoint says."""

    verdict: VerdictName
    change: str | None
    estimand: str | None
    effect: float | None
    lower: float | None
    upper: float | None
    margin: float | None


class Unit(Part):
    """A token (or word, where tokenizers differ) in context."""

    text: str
    baseline: float
    candidate: float


class Passage(Part):
    """Where in the corpus a feature changed most, or was strongest: an illustration."""

    kind: Literal["changed", "strongest"]
    document: str
    start: int
    end: int
    peak: int = Field(description="Position of the chosen place within `units`")
    units: tuple[Unit, ...]


class HistoryLine(Part):
    """An earlier verdict on the feature, by the same monitor."""

    evaluation: UUID
    checkpoint: str
    baseline: str
    finished_at: datetime | None
    verdict: VerdictName
    change: str | None
    estimand: str | None
    effect: float | None
    lower: float | None
    upper: float | None
    margin: float | None
    drift_score: float | None
    paged: bool
    slow_drift: bool
    same_definition: bool


class Suggestion(Part):
    """How a feature should be monitored, and the evidence for it."""

    about: Literal["margin", "watch", "corpus", "control", "baseline", "causal", "definition"]
    what: str
    why: str


class Side(Part):
    """One checkpoint of the evaluation."""

    role: str
    checkpoint: str
    weights_digest: str | None
    config_digest: str | None
    tokenizer_digest: str | None
    snapshot_key: str | None
