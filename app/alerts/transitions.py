"""What an evaluation's finding does to an alert: opened, renewed, left as it is, resolved."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy.orm import Session

from app.alerts import repository
from app.alerts.findings import Finding, sentence
from app.alerts.repository import Facts, Subject, Watched
from app.alerts.tables import Alert
from app.core.clock import now
from app.verdicts.writing import finite_json

Event = Literal["alert.opened", "alert.updated", "alert.acknowledged", "alert.resolved"]

_SEVERITIES = ("warning", "page")
_CONDITIONS = ("untrusted", "slow_drift", "drifted", "stale", "failed")
"""The milder first, among those that one subject can be in."""


@dataclass(frozen=True)
class Change:
    """What happened to one alert."""

    event: Event
    alert: Alert


def apply(
    session: Session, monitor: Watched, facts: Facts, alert: Alert | None, finding: Finding
) -> Change | None:
    """Let a finding of an evaluation have its effect; None where it has none.

    Args:
        alert: the subject's unresolved alert, locked, if there is one.
    """
    if alert is None:
        return _open(session, monitor, facts, finding) if finding.outlook == "alarm" else None
    if finding.outlook == "clear":
        change = resolve(alert, finding.said, finding.evidence)
        alert.last_evaluation_id = facts.id
        return change
    if finding.outlook == "undecided" or _says_less(alert, finding):
        return _leave(alert, facts, finding)
    return _renew(alert, facts, finding)


def _open(session: Session, monitor: Watched, facts: Facts, finding: Finding) -> Change:
    evidence = {
        **finite_json(finding.evidence),
        "since": {"evaluation": str(facts.id), "checkpoint": facts.checkpoint},
    }
    moment = now()
    alert = repository.insert_alert(
        session,
        monitor_id=monitor.id,
        subject_kind=finding.subject_kind,
        subject=finding.subject,
        condition=finding.condition,
        severity=finding.severity,
        state="open",
        opened_at=moment,
        updated_at=moment,
        first_evaluation_id=facts.id,
        last_evaluation_id=facts.id,
        detail=sentence(finding.subject_kind, finding.subject, finding.said),
        evidence=evidence,
    )
    return Change("alert.opened", alert)


def _says_less(alert: Alert, finding: Finding) -> bool:
    """Whether it is milder than what is known, which it does not disprove.

    That a control failed, or that a feature drifts slowly, does not show that it has not drifted.
    """
    milder = _CONDITIONS.index(finding.condition) < _CONDITIONS.index(alert.condition)
    return milder and not finding.stable


def _leave(alert: Alert, facts: Facts, finding: Finding) -> Change | None:
    """Keep the alert as it is, and say what the newest evaluation could not tell."""
    since = _since(alert)
    said = f"{finding.said}; that settles nothing, it was last found {_words(alert.condition)}"
    return _write(
        alert,
        last_evaluation_id=facts.id,
        detail=sentence(alert.subject_kind, alert.subject, said, since=since, now=facts.checkpoint),
        evidence={**alert.evidence, "latest": finite_json(finding.evidence)},
    )


def _renew(alert: Alert, facts: Facts, finding: Finding) -> Change | None:
    """It is found again: as it was, worse, or of another kind.

    The severity falls only where the feature is shown to be stable, so that a feature that is
    paged on at every other checkpoint wakes nobody twice.
    """
    was = (_SEVERITIES.index(alert.severity), _CONDITIONS.index(alert.condition))
    severity = finding.severity
    if not finding.stable:
        severity = max(severity, alert.severity, key=_SEVERITIES.index)
    worse = (_SEVERITIES.index(severity), _CONDITIONS.index(finding.condition)) > was
    reopened = worse and alert.state == "acknowledged"
    values: dict[str, Any] = {}
    if reopened:
        values = {
            "state": "open",
            "acknowledged_at": None,
            "acknowledged_by": None,
            "acknowledged_principal": None,
            "note": None,
        }
    again = alert.last_evaluation_id == facts.id
    change = _write(
        alert,
        condition=finding.condition,
        severity=severity,
        occurrences=alert.occurrences + (0 if again else 1),
        last_evaluation_id=facts.id,
        detail=sentence(
            alert.subject_kind,
            alert.subject,
            finding.said,
            since=_since(alert),
            now=facts.checkpoint,
        ),
        evidence={**finite_json(finding.evidence), "since": alert.evidence.get("since")},
        **values,
    )
    # Who is woken by what opens must not have to listen to every update for what becomes a page.
    if change is not None and (reopened or _SEVERITIES.index(severity) > was[0]):
        return Change("alert.opened", alert)
    return change


def _write(alert: Alert, **values: Any) -> Change | None:
    """Set what differs; None where nothing does."""
    if all(getattr(alert, name) == value for name, value in values.items()):
        return None
    for name, value in values.items():
        setattr(alert, name, value)
    alert.updated_at = now()
    return Change("alert.updated", alert)


def resolve(alert: Alert, said: str, evidence: Mapping[str, Any] | None = None) -> Change:
    """End an alert, because of what `said` and `evidence` tell of its subject."""
    alert.state = "resolved"
    alert.resolved_at = alert.updated_at = now()
    alert.detail = sentence(alert.subject_kind, alert.subject, said)
    if evidence is not None:
        alert.evidence = {**alert.evidence, "latest": finite_json(dict(evidence))}
    return Change("alert.resolved", alert)


def drop_unwatched(alerts: dict[Subject, Alert], watchlist: Sequence[str]) -> list[Change]:
    """Resolve, and take out of `alerts`, those on features that are no longer watched."""
    gone = [key for key in alerts if key[0] == "feature" and key[1] not in set(watchlist)]
    said = "is no longer followed: it has left the monitor's watchlist"
    return [resolve(alerts.pop(key), said) for key in gone]


def _since(alert: Alert) -> str | None:
    since = alert.evidence.get("since") or {}
    return since.get("checkpoint")


def _words(condition: str) -> str:
    return {"slow_drift": "drifting slowly"}.get(condition, condition)
