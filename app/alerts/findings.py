"""What one evaluation says of each subject that an alert may be about: pure functions over rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from app.core.errors import shorten
from app.reports.words import DIAGNOSES
from app.verdicts.plain import change_in_words
from app.verdicts.tables import DOES_NOT_APPLY, Control, Verdict

Outlook = Literal["alarm", "clear", "undecided"]

_SENTENCE = 1000
_NAMED = 20
CARRIED = ("rescaled", "rotated", "relocated")
"""Diagnoses that say that a feature's dictionary, perhaps realigned, still describes its site."""


@dataclass(frozen=True)
class Where:
    """Names of what an evaluation compared."""

    evaluation: str
    checkpoint: str
    baseline: str
    model: str

    def evidence(self) -> dict[str, Any]:
        """The same, for an alert's evidence."""
        return {
            "evaluation": self.evaluation,
            "checkpoint": self.checkpoint,
            "baseline": self.baseline,
        }


@dataclass(frozen=True)
class Finding:
    """What an evaluation says of one subject.

    Attributes:
        outlook: `alarm`: something is wrong; `clear`: it is shown to be well; `undecided`: neither.
        stable: the comparison itself shows equivalence, though the alarm may be of another kind.
        said: the rest of a sentence that begins with the subject.
    """

    subject_kind: str
    subject: str
    outlook: Outlook
    said: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    condition: str = ""
    severity: str = "warning"
    stable: bool = False


def feature_finding(row: Verdict, where: Where) -> Finding:
    """What the comparison with the pinned baseline says of a watched feature.

    Of an untrusted or invalid feature no estimate counts, so neither do its page and its trend.
    """
    place = _place(where)
    outlook: Outlook = "alarm"
    condition, severity = "", "warning"
    if row.verdict == "untrusted":
        condition = "untrusted"
        said = f"cannot be trusted {place}: {_clause(row.reason)}"
    elif row.verdict != "invalid" and (row.paged or row.verdict == "drifted"):
        condition, severity = "drifted", "page" if row.paged else "warning"
        said = f"has drifted {place}: {_measured(row)}{_diagnosed(row)}"
    elif row.verdict != "invalid" and row.slow_drift:
        condition = "slow_drift"
        said = (
            f"drifts slowly {place}: small steps add up, its moving average over checkpoints has "
            f"left its bound{_trend(row)}; the comparison itself is {row.verdict}: {_measured(row)}"
        )
    elif row.verdict == "stable":
        outlook = "clear"
        said = f"is shown to be stable {place}: {_measured(row)}"
    else:
        outlook = "undecided"
        said = f"{_is(row.verdict)} {place}: {_clause(row.reason)}"
    return Finding(
        "feature",
        row.feature,
        outlook,
        said,
        {**where.evidence(), **_verdict_evidence(row)},
        condition,
        severity,
        stable=row.verdict == "stable",
    )


def control_finding(row: Control, where: Where, untrusted: Sequence[str]) -> Finding:
    """What a negative control says; `untrusted` are the watched features that it failed for."""
    outlook: Outlook = "undecided"
    word = "cannot be told"
    if row.passed is not None:
        outlook, word = ("clear", "held") if row.passed else ("alarm", "failed")
    elif DOES_NOT_APPLY.items() <= row.figures.items():
        outlook, word = "clear", "has nothing to judge"
    return Finding(
        "control",
        row.control,
        outlook,
        f"{word} {_place(where)}: {_clause(row.detail)}",
        {
            **where.evidence(),
            "passed": row.passed,
            "reason": row.detail,
            "features": list(untrusted[:_NAMED]),
            "features_count": len(untrusted),
        },
        "failed" if outlook == "alarm" else "",
    )


def stale_finding(dictionary: str, rows: Sequence[Verdict], where: Where) -> Finding:
    """A dictionary that the diagnoses of `rows` blame."""
    reason = _diagnosis_reason(rows[0]) or rows[0].reason
    names = [row.feature for row in rows]
    return Finding(
        "dictionary",
        dictionary,
        "alarm",
        f"is stale {_place(where)}: {_clause(reason)}",
        {
            **where.evidence(),
            "diagnosis": "dictionary_stale",
            "reason": reason,
            # All of them: each must be shown to be well before the alert is resolved.
            "features": names,
            "features_count": len(names),
        },
        "stale",
    )


def recovery_finding(
    dictionary: str, blaming: Sequence[str], rows: Mapping[str, Verdict], where: Where
) -> Finding:
    """What became of a stale dictionary that no diagnosis blames any more.

    Args:
        blaming: the features whose diagnoses blamed it.
        rows: those of them that have a verdict now; what is no longer in the set has none.
    """
    open_still = [
        name
        for name in blaming
        if name in rows and rows[name].verdict != "stable" and rows[name].diagnosis not in CARRIED
    ]
    evidence = {**where.evidence(), "undecided": open_still[:_NAMED]}
    if open_still:
        said = (
            f"is blamed by no diagnosis {_place(where)}, but {len(open_still)} of the "
            f"{len(blaming)} features that showed it stale are neither stable nor explained "
            f"otherwise, {open_still[0]!r} first"
        )
        return Finding("dictionary", dictionary, "undecided", said, evidence)
    said = (
        f"serves again {_place(where)}: every feature that showed it stale is stable, explained "
        "otherwise, or no longer among those that are judged"
    )
    return Finding("dictionary", dictionary, "clear", said, evidence)


def evaluation_finding(
    where: Where, error: Mapping[str, Any] | None, invalid: str | None
) -> Finding:
    """What became of an evaluation itself.

    Args:
        error: {"code", "detail"} of a failed one.
        invalid: why nothing can be said of any feature; None of a valid one.
    """
    if error is not None:
        detail = str(error.get("detail") or "no reason is recorded")
        said = (
            f"of checkpoint {where.checkpoint!r} of model {where.model!r} failed: {_clause(detail)}"
        )
        evidence = {"outcome": "failed", "code": error.get("code"), "reason": detail}
    elif invalid is not None:
        said = (
            f"{_of(where)} is invalid, so that it says nothing of any feature: {_clause(invalid)}"
        )
        evidence = {"outcome": "invalid", "code": "invalid", "reason": invalid}
    else:
        evidence = {**where.evidence(), "outcome": "valid"}
        return Finding("evaluation", "", "clear", f"{_of(where)} is valid", evidence)
    return Finding(
        "evaluation", "", "alarm", said, {**where.evidence(), **evidence}, "failed", "warning"
    )


def sentence(
    subject_kind: str, subject: str, said: str, *, since: str | None = None, now: str | None = None
) -> str:
    """One sentence for the person who is woken.

    Args:
        since: the checkpoint that it began with, if that is not
        now: the checkpoint that is spoken of.
    """
    what = "The evaluation" if subject_kind == "evaluation" else f"{subject_kind} {subject!r}"
    began = f" (since checkpoint {since!r})" if since is not None and since != now else ""
    text = f"{what[0].upper()}{what[1:]} {said}{began}"
    return str(shorten(text, _SENTENCE - 1)) + "."


def _place(where: Where) -> str:
    return f"in {_checkpoint(where)}"


def _of(where: Where) -> str:
    return f"of {_checkpoint(where)}"


def _checkpoint(where: Where) -> str:
    return f"checkpoint {where.checkpoint!r} of model {where.model!r} against {where.baseline!r}"


def _clause(text: str) -> str:
    return text.strip().rstrip(".")


def _is(verdict: str) -> str:
    if verdict == "insufficient":
        return "has too little data"
    return f"is {verdict}"


def _measured(row: Verdict) -> str:
    if row.change in ("dead", "born") and row.reason:
        # The reason counts documents, which says more than a ratio with nothing on one side.
        return f"it {row.reason[0].lower()}{_clause(row.reason[1:])}"
    if row.estimand is None or row.effect is None or row.lower is None or row.margin is None:
        return _clause(row.reason)
    return change_in_words(row.estimand, row.effect, row.lower, row.upper, row.margin)


def _diagnosed(row: Verdict) -> str:
    if row.diagnosis is None:
        return "; not diagnosed"
    meaning = DIAGNOSES[row.diagnosis]
    return f"; diagnosis {row.diagnosis}: {meaning[0].lower()}{_clause(meaning[1:])}"


def _trend(row: Verdict) -> str:
    level, limit = ((row.trend or {}).get(key) for key in ("level", "limit"))
    if not isinstance(level, int | float) or not isinstance(limit, int | float):
        return ""
    return f" ({level:.3g}, bound {limit:.3g})"


def _diagnosis_reason(row: Verdict) -> str | None:
    reason = (row.diagnosis_evidence or {}).get("reason")
    return reason if isinstance(reason, str) else None


def _verdict_evidence(row: Verdict) -> dict[str, Any]:
    pages = row.pages or {}
    return {
        "feature_id": str(row.feature_id) if row.feature_id is not None else None,
        "verdict": row.verdict,
        "change": row.change,
        "reason": row.reason,
        "estimand": row.estimand,
        "effect": row.effect,
        "lower": row.lower,
        "upper": row.upper,
        "margin": row.margin,
        "margin_source": row.margin_source,
        "active_documents": row.active_documents,
        "documents": row.documents,
        "drift_score": row.drift_score,
        "paged": row.paged,
        "page_alpha": pages.get("alpha"),
        "slow_drift": row.slow_drift,
        "trend": row.trend,
        "diagnosis": row.diagnosis,
        "diagnosis_reason": _diagnosis_reason(row),
    }
