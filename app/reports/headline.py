"""The verdict in one sentence: how many features of each verdict, and what decided."""

from collections.abc import Sequence

from app.reports.findings import Findings
from app.reports.model import ComparisonLine, Headline, Outcome
from app.reports.parts import Reason
from app.reports.words import COUNTED, count, listing, percent, verb

_NAMED = 5
_COUNTED = frozenset({"drifted", "unproven"})
"""Reasons that the counts and the policy's limits say in fewer words."""


def headline(found: Findings) -> Headline:
    """The verdict on this evaluation, by its own gate policy."""
    reasons = found.reasons()
    outcome: Outcome = reasons[0].outcome if reasons else "pass"
    return Headline(outcome=outcome, sentence=_sentence(found, outcome, reasons), reasons=reasons)


def _sentence(found: Findings, outcome: Outcome, reasons: tuple[Reason, ...]) -> str:
    pair = f"checkpoint {found.subject.checkpoint!r} against {found.subject.baseline!r}"
    compared = found.comparison
    if compared is None or not compared.features:
        word = "Pending" if outcome == "pending" else "No verdict"
        return f"{word} on {pair}: {_no_verdicts(found)}."
    said = f"{outcome.capitalize()}: {_counts(found, compared)} in {pair}"
    if compared.features == compared.counts.get("invalid", 0):
        return f"{said}: {_why_invalid(found, compared)}."
    why = _limits(found, compared, outcome, [reason.code for reason in reasons])
    why += [_clause(reason.detail) for reason in reasons if reason.code not in _COUNTED]
    return f"{'; '.join([said, *why])}."


def _counts(found: Findings, compared: ComparisonLine) -> str:
    """Every verdict that occurs, always in the same order; what has drifted by name."""
    parts: list[str] = []
    for verdict, (one, several) in COUNTED.items():
        n = compared.counts.get(verdict, 0)
        if not n:
            continue
        if n == compared.features:
            who = {1: "the one feature", 2: "both features"}.get(n, f"all {n:,} features")
        else:
            who = f"{n:,}" if parts else f"{n:,} of {count(compared.features, 'feature')}"
        names = [feature.name for feature in found.named(verdict)] if verdict == "drifted" else []
        named = f" ({listing(names, _NAMED, n)})" if names else ""
        parts.append(f"{who} {verb(n, one, several)}{named}")
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if parts[1:] else parts)


def _limits(
    found: Findings, compared: ComparisonLine, outcome: Outcome, codes: Sequence[str]
) -> list[str]:
    """The policy's limits that were crossed; of a pass, those that let something pass."""
    gate, drifted, stable = found.policy.gate, found.counted("drifted"), found.counted("stable")
    unproven = compared.features - drifted - stable
    if "unproven" in codes and unproven == compared.features:
        return ["nothing is shown of any"]
    limits = []
    if "drifted" in codes or (outcome == "pass" and drifted):
        limits.append(f"{_share(gate.max_drifted_ratio)} drift")
    if "unproven" in codes or (outcome == "pass" and unproven):
        limits.append(f"{_share(gate.max_unproven_ratio)} stay unproven")
    return [f"the policy lets {' and '.join(limits)}"] if limits else []


def _share(ratio: float) -> str:
    return percent(ratio) if ratio else "none"


def _why_invalid(found: Findings, compared: ComparisonLine) -> str:
    reasons = (feature.reason for feature in found.named("invalid"))
    return _clause(compared.invalid_reason or next(reasons, "the two sides cannot be compared"))


def _no_verdicts(found: Findings) -> str:
    state = found.subject.state
    if state in ("queued", "running"):
        done, total = found.progress
        at = f", at the step {found.step!r}, {done} of {count(total, 'shard')} done"
        return f"the evaluation is {state}{at if state == 'running' else ''}"
    if state == "failed":
        return f"the evaluation failed: {_clause(found.trouble or 'no reason is recorded')}"
    if state == "cancelled":
        return "the evaluation was cancelled before it had verdicts"
    reason = found.comparison.invalid_reason if found.comparison is not None else None
    return f"the evaluation has no verdict on any feature{f': {_clause(reason)}' if reason else ''}"


def _clause(text: str) -> str:
    """A text as a part of a sentence."""
    return text.strip().rstrip(".")
