"""One feature's verdict with its evidence, as a plain record."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from workers.drift.policy import Estimand

Verdict = Literal["stable", "drifted", "inconclusive", "insufficient", "untrusted", "invalid"]
VERDICTS: tuple[Verdict, ...] = (
    "drifted",
    "untrusted",
    "inconclusive",
    "insufficient",
    "stable",
    "invalid",
)
"""In the order in which people should look at them."""

Change = Literal["rate", "magnitude", "identity", "dead", "born"]
CHANGE_OF: Mapping[Estimand, Change] = {
    "rate": "rate",
    "magnitude": "magnitude",
    "identity_sparse": "identity",
    # It fires, but not strongly where it used to.
    "strength": "identity",
    # A dense feature is on everywhere; where its values lie and how far they spread is magnitude.
    "shift": "magnitude",
    "scale": "magnitude",
    "identity_dense": "identity",
    # A feature that separates its concept less well is no longer the same feature.
    "concept": "identity",
    # It fires, but on the wording rather than on what the wording says.
    "robustness": "identity",
}


@dataclass(frozen=True, slots=True)
class Estimate:
    """One estimand of one feature."""

    effect: float
    lower: float | None
    """None for `insufficient` features: in so few documents no interval holds what it promises."""
    upper: float | None
    se: float
    df: float
    margin: float
    margin_source: str
    """"policy", or "noise_floor:<source>" with the null update that raised it."""
    p_drifted: float
    p_stable: float


@dataclass(frozen=True, slots=True)
class FeatureVerdict:
    """What is claimed of one feature, with its evidence. None: there is no such number."""

    name: str
    verdict: Verdict
    change: Change | None
    """How it drifted; the leading one of `changes`."""
    changes: tuple[Change, ...]
    reason: str
    """One sentence for a person."""
    estimand: Estimand | None
    """The leading one: of a drifted feature the surest change, else the one least shown stable."""
    effect: float | None
    lower: float | None
    upper: float | None
    margin: float | None
    margin_source: str | None
    p_drifted: float | None
    """Over all estimands (Holm); of a dead or born feature the exact sign test's."""
    p_stable: float | None
    """Over all estimands (intersection–union)."""
    q_drifted: float | None
    q_stable: float | None
    g_active: int
    """Documents (or groups) in which either side is active."""
    n_documents: int
    n_tokens: int
    firing_ratio_baseline: float
    firing_ratio_candidate: float
    sign_test_p: float
    concept_auroc_baseline: float | None
    concept_auroc_candidate: float | None
    estimates: dict[Estimand, Estimate] = field(default_factory=dict)
