"""The gate: what a release pipeline is told about a checkpoint, and why.

A pure function over what is known of each enabled monitor. The answer is the first that applies:
`pending` while anything is still being measured; `fail` when too many features have drifted from
the baseline; `inconclusive` when something that should have been shown was not; else `pass`.
Whatever the policy: an evaluation that has shown nothing of any feature is `inconclusive`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args
from uuid import UUID

from app.monitors.policy import GatePolicy

Outcome = Literal["pending", "fail", "inconclusive", "pass"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
NAMED_FEATURES = 20
_WHOLE = frozenset({"no_op"})
"""Controls that are about the evaluation: when one fails, no verdict of it can be trusted."""
_JUDGED = ("drifted", "stable", "inconclusive")


@dataclass(frozen=True)
class Standing:
    """What is known of one enabled monitor for one checkpoint.

    Attributes:
        evaluation: its newest evaluation of the checkpoint; None when there is none.
        state: that evaluation's state.
        trouble: why the evaluation failed, or why there is none.
        counts: features by verdict, of the comparison with the pinned baseline.
        baseline: name of the checkpoint that it was compared with; pinned when the evaluation was
            accepted, so that it holds whatever the monitor's baseline has become since.
        failed_controls: names of negative controls that did not hold.
        drifted: names of drifted features, the worst first; the first few suffice.
        unproven: names of features neither stable nor drifted, likewise.
        untrusted: names of features whose own controls failed, likewise.
        slow_drift: names of features that drift slowly and have not yet drifted, likewise.
        pages: names of features that someone is woken for, likewise.
        held_by_benign: names of stable features that are not so within the policy's own margins,
            likewise; only the noise floor of checkpoints marked benign makes them stable.
        held_count: how many those are.
        benign: names of the checkpoints whose marks raised these margins.
        notes: what a reader must know of the comparison beside its verdicts.
    """

    monitor: str
    policy: GatePolicy
    evaluation: UUID | None = None
    baseline: str | None = None
    state: str | None = None
    trouble: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    failed_controls: Sequence[str] = ()
    drifted: Sequence[str] = ()
    unproven: Sequence[str] = ()
    untrusted: Sequence[str] = ()
    slow_drift: Sequence[str] = ()
    pages: Sequence[str] = ()
    held_by_benign: Sequence[str] = ()
    held_count: int = 0
    benign: Sequence[str] = ()
    notes: Sequence[str] = ()

    @property
    def features(self) -> int:
        """Features with a verdict."""
        return sum(self.counts.values())

    @property
    def judged(self) -> int:
        """Features that the data could decide on: those that could have been found to drift."""
        return sum(self.counts.get(verdict, 0) for verdict in _JUDGED)

    @property
    def drifted_ratio(self) -> float | None:
        """Share of the judged features that have drifted; None without features."""
        if not self.features:
            return None
        return self.counts.get("drifted", 0) / self.judged if self.judged else 0.0

    @property
    def unproven_ratio(self) -> float | None:
        """Share of features neither stable nor drifted; None without features."""
        if not self.features:
            return None
        proven = self.counts.get("stable", 0) + self.counts.get("drifted", 0)
        return (self.features - proven) / self.features


@dataclass(frozen=True)
class Reason:
    """One thing that keeps the gate from `pass`."""

    outcome: Outcome
    monitor: str | None
    code: str
    detail: str
    features: tuple[str, ...] = ()
    evaluation: UUID | None = None
    baseline: str | None = None


def decide(standings: Sequence[Standing]) -> tuple[Outcome, list[Reason]]:
    """The gate's answer and its reasons, the deciding ones first.

    Args:
        standings: one for each enabled monitor of the model.
    """
    if not standings:
        detail = "the model has no enabled monitor, so nothing was measured; POST /v1/monitors"
        return "inconclusive", [Reason("inconclusive", None, "no_monitor", detail)]
    reasons = [reason for standing in standings for reason in judge(standing)]
    reasons.sort(key=lambda reason: OUTCOMES.index(reason.outcome))
    return (reasons[0].outcome if reasons else "pass"), reasons


def judge(standing: Standing) -> list[Reason]:
    """What one monitor has against the checkpoint."""

    def reason(outcome: Outcome, code: str, detail: str, named: Sequence[str] = ()) -> Reason:
        return Reason(
            outcome,
            standing.monitor,
            code,
            detail,
            tuple(named[:NAMED_FEATURES]),
            standing.evaluation,
            standing.baseline,
        )

    match standing.state:
        case None:
            return [reason("inconclusive", "not_evaluated", standing.trouble)]
        case "queued" | "running":
            detail = f"the evaluation {standing.evaluation} is {standing.state}"
            return [reason("pending", "evaluation_open", detail)]
        case "failed":
            detail = f"the evaluation {standing.evaluation} failed: {standing.trouble}"
            return [reason("inconclusive", "evaluation_failed", detail)]
        case "cancelled":
            detail = f"the evaluation {standing.evaluation} was cancelled"
            return [reason("inconclusive", "evaluation_cancelled", detail)]
    if standing.drifted_ratio is None or standing.unproven_ratio is None:
        detail = f"the evaluation {standing.evaluation} has no verdict on any feature"
        return [reason("inconclusive", "no_verdicts", detail)]
    found = []
    policy, counts, total = standing.policy, standing.counts, standing.features
    if standing.drifted_ratio > policy.max_drifted_ratio:
        detail = (
            f"{counts.get('drifted', 0)} of {standing.judged} features have drifted from the "
            f"baseline{_named(standing.baseline)}{_unjudged(total - standing.judged)}; "
            f"the policy lets {policy.max_drifted_ratio:.1%} pass"
        )
        found.append(reason("fail", "drifted", detail, standing.drifted))
    # The policy says how much may stay unproven beside something that is proven.
    nothing_proven = standing.unproven_ratio == 1
    unproven = nothing_proven or standing.unproven_ratio > policy.max_unproven_ratio
    failed = ", ".join(standing.failed_controls)
    untrusted = counts.get("untrusted", 0)
    if failed and (untrusted == 0 or _WHOLE.intersection(standing.failed_controls)):
        detail = f"the control {failed} failed, so the verdicts cannot be trusted"
        found.append(reason("inconclusive", "control_failed", detail))
    elif failed and unproven:
        # Features whose own control failed are unproven; the policy says how many may be.
        detail = (
            f"the control {failed} failed for {untrusted} of {total} features, whose verdicts "
            "cannot be trusted"
        )
        found.append(reason("inconclusive", "control_failed", detail, standing.untrusted))
    if standing.slow_drift:
        detail = (
            "the moving average over checkpoints has left its bound: many small steps add up, "
            "though the comparison with the baseline does not show a drift yet"
        )
        found.append(reason("inconclusive", "slow_drift", detail, standing.slow_drift))
    if standing.held_count and not policy.allow_benign_floor:
        marks = ", ".join(repr(name) for name in standing.benign)
        several = len(standing.benign) > 1
        detail = (
            f"{standing.held_count} of {counts.get('stable', 0)} stable features are stable only "
            f"because the benign mark{'s' if several else ''} of {marks} raised their margins; "
            f"lift the mark{'s' if several else ''} if that update was not harmless, or let the "
            "policy's gate.allow_benign_floor accept it"
        )
        found.append(reason("inconclusive", "benign_floor", detail, standing.held_by_benign))
    if unproven:
        parts = [
            f"{count} {verdict}"
            for verdict, count in sorted(counts.items())
            if count and verdict not in ("stable", "drifted")
        ]
        allowed = (
            "nothing is shown of any, which no policy lets pass"
            if nothing_proven and policy.max_unproven_ratio == 1
            else f"the policy lets {policy.max_unproven_ratio:.1%} pass"
        )
        detail = (
            f"{', '.join(parts)} of {total} features: neither shown to be stable nor to have "
            f"drifted; {allowed}"
        )
        found.append(reason("inconclusive", "unproven", detail, standing.unproven))
    return found


def _unjudged(count: int) -> str:
    return f" ({count} more could not be judged)" if count else ""


def _named(baseline: str | None) -> str:
    return f" {baseline!r}" if baseline else ""
