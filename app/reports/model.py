"""The view-model of a report: everything that is shown, typed and frozen; schema version 1.

Built once (`app.reports.view`) and rendered as JSON, Markdown and HTML. The JSON form is this model
as it stands, so that its schema is a promise: fields are added under the same version; a field that
is renamed, removed or given another meaning makes version 2.
"""

from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from app.reports.parts import (
    Baselines,
    Causal,
    ControlLine,
    Diagnosis,
    EstimateLine,
    FeatureControl,
    HistoryLine,
    Page,
    Part,
    Passage,
    Reason,
    RobustnessLine,
    Side,
    Step,
    Suggestion,
    Trend,
)
from app.verdicts.schemas import CausalVerdict, Change, Comparison, EarnsKeep, VerdictName

SCHEMA_VERSION: Final = "1"
SCHEMA_ID = f"urn:featuredrift:schema:report-{SCHEMA_VERSION}"

Outcome = Literal["pass", "fail", "inconclusive", "pending"]


class Subject(Part):
    """What was evaluated, by name, and how far it came."""

    evaluation: UUID
    model: str
    monitor: str
    checkpoint: str
    baseline: str = Field(description="The pinned checkpoint that it is compared with")
    previous: str | None
    corpus: str
    feature_set: str | None
    feature_set_version: int | None
    dictionary: str | None = Field(description="Where all latents of a dictionary are watched")
    state: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class Headline(Part):
    """The verdict on this evaluation alone, by the gate policy that it was accepted with."""

    outcome: Outcome
    sentence: str = Field(description="The verdict in one sentence")
    reasons: tuple[Reason, ...] = Field(description="Everything that keeps it from `pass`")


class Answers(Part):
    """The four questions, each answered in a few sentences."""

    what_changed: tuple[str, ...]
    what_broke: tuple[str, ...]
    what_to_trust: tuple[str, ...]
    what_needs_intervention: tuple[str, ...]


class ComparisonLine(Part):
    """One comparison over all its features."""

    comparison: Comparison
    checkpoint: str | None = Field(description="The other side")
    features: int
    judged: int = Field(description="Features that could have been found to drift")
    counts: dict[str, int] = Field(description="Features by verdict")
    changes: dict[str, int] = Field(description="Drifted features by leading change")
    drifted_ratio: float | None
    drifted_lower: float | None
    drifted_upper: float | None
    paged: int
    slow_drift: int
    tokens: int | None
    special_tokens: int | None
    outlier_tokens: int | None
    invalid_reason: str | None
    notes: tuple[str, ...]


class DictionaryLine(Part):
    """How well a dictionary reconstructs its site on one side."""

    role: str
    dictionary: str
    fvu: float | None = Field(description="Fraction of variance unexplained")
    l0: float | None = Field(description="Latents on at a token")
    dead_ratio: float | None


class Behaviour(Part):
    """How a feature behaves on both sides."""

    firing_ratio_baseline: float | None = Field(description="Share of tokens where it is on")
    firing_ratio_candidate: float | None
    concept_auroc_baseline: float | None
    concept_auroc_candidate: float | None
    active_documents: int
    documents: int
    tokens: int
    drift_score: float | None = Field(description="0: as null updates; 1: as random weights")
    token_level: bool | None = Field(description="It reads tokens, not what the model computes")
    earns_keep: EarnsKeep | None
    causal_verdict: CausalVerdict | None


class FeatureRepair(Part):
    """What is proposed in a feature's place."""

    repair: UUID
    old: str | None
    new: str | None
    reason: str
    documents: int | None = Field(description="Documents that it was judged on, held out")
    held_out: tuple[EstimateLine, ...]


class Feature(Part):
    """One feature: its verdict with all that it rests on, and its card."""

    name: str
    kind: str | None
    definition: str | None = Field(description="In words; the digest names it exactly")
    definition_digest: str
    concept: str | None
    description: str | None
    verdict: VerdictName
    change: Change | None
    changes: tuple[str, ...]
    reason: str
    estimand: str | None = Field(description="The leading one of `estimates`")
    estimates: tuple[EstimateLine, ...]
    p_drifted: float | None
    p_stable: float | None
    q_drifted: float | None
    q_stable: float | None
    sign_test_p: float | None
    behaviour: Behaviour
    controls: tuple[FeatureControl, ...]
    baselines: Baselines | None
    causal: Causal | None
    robustness: tuple[RobustnessLine, ...]
    diagnosis: Diagnosis | None
    repair: FeatureRepair | None
    trend: Trend | None
    page: Page | None
    paged: bool = Field(description="Beyond a margin by simultaneous intervals: someone is woken")
    slow_drift: bool = Field(description="Its moving average over checkpoints has left its bound")
    step: Step | None = Field(description="The comparison with the previous checkpoint")
    passages: tuple[Passage, ...]
    passages_missing: str | None = Field(description="Why there are none")
    history: tuple[HistoryLine, ...] = Field(description="Up to this evaluation, newest first")
    what_breaks_it: tuple[str, ...]
    monitoring: tuple[Suggestion, ...] = Field(description="How it should be monitored, and why")

    @property
    def lead(self) -> EstimateLine | None:
        """The leading estimate."""
        return next((line for line in self.estimates if line.estimand == self.estimand), None)


class FeatureLine(Part):
    """A feature of a long list, in brief."""

    name: str
    verdict: VerdictName
    estimand: str | None
    effect: float | None
    lower: float | None
    upper: float | None
    margin: float | None


class Repair(Part):
    """The next version of the feature set, as this evaluation proposed it.

    What people decided on it later stands with the repair and in the audit trail: a report says
    what an evaluation found, and that never changes.
    """

    repair: UUID
    changed: tuple[str, ...]
    dictionaries: tuple[str, ...]
    read: str = Field(description="The call that shows it whole, and what became of it")
    accept: str = Field(description="The call that publishes it; nothing else does")
    reject: str


class Intervention(Part):
    """Something that a person has to do or to decide."""

    urgency: Literal["now", "decide", "mend", "plan"]
    what: str
    why: str
    features: tuple[str, ...]
    calls: tuple[str, ...] = Field(description="Commands that do it")


class PageShare(Part):
    """What this evaluation could spend of the quarter's false-page budget."""

    alpha: float
    quarter: str
    ordinal: int
    planned: bool


class Provenance(Part):
    """All that went in, and how to have the same again."""

    schema_version: str
    featuredrift_version: str = Field(description="The release that rendered this report")
    inputs_digest: str = Field(description="Of what this evaluation asks")
    sides: tuple[Side, ...]
    snapshots: dict[str, str] = Field(description="Role → key of a snapshot")
    corpus_digest: str
    corpus_documents: int
    corpus_units: int = Field(description="Units of inference: documents, groups, near-copies")
    feature_set_digest: str | None
    features_digest: str | None
    dictionaries: dict[str, str | None]
    numerics: dict[str, Any]
    libraries: dict[str, str]
    sequence_length: int | None
    batch_tokens: int | None
    seed: int = Field(description="Of all that is random in controls and diagnosis")
    policy: dict[str, Any]
    page_share: PageShare | None
    reproduce: tuple[str, ...]


class Report(Part):
    """The report of one evaluation."""

    model_config = ConfigDict(title="Featuredrift report, version 1")

    schema_version: Literal["1"] = SCHEMA_VERSION
    subject: Subject
    headline: Headline
    answers: Answers
    controls: tuple[ControlLine, ...]
    comparisons: tuple[ComparisonLine, ...]
    dictionaries: tuple[DictionaryLine, ...]
    drifted: tuple[str, ...] = Field(description="The surest first; details in `features`")
    stable: tuple[str, ...] = Field(description="Shown to be stable; the nearest to a margin first")
    unjudged: tuple[str, ...] = Field(description="Neither; why stands in `features`")
    features: tuple[Feature, ...]
    others: tuple[FeatureLine, ...] = Field(description="Of a long list, those beyond `features`")
    left_out: int = Field(description="Features with a verdict that are in neither list")
    repair: Repair | None
    interventions: tuple[Intervention, ...]
    provenance: Provenance
