"""Following evaluations: alerts are opened, updated and resolved as these end.

Locks: a monitor's row, then its alerts, then the webhooks that events are addressed to. Whoever
ends an evaluation holds the ledger's locks already, and these come after them all.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from app.access import audit
from app.access.principals import principal_of
from app.alerts import repository
from app.alerts.findings import (
    Finding,
    Where,
    control_finding,
    evaluation_finding,
    feature_finding,
    recovery_finding,
    stale_finding,
)
from app.alerts.presentation import present
from app.alerts.repository import AlertView, Facts, Newer, Position, Subject, Watched
from app.alerts.schemas import Acknowledgement
from app.alerts.tables import Alert
from app.alerts.transitions import Change, apply, drop_unwatched, resolve
from app.core.clock import now
from app.core.errors import ConflictError, NotFoundError
from app.monitors.tables import Monitor
from app.settings import get_settings
from app.webhooks import events


def follow(session: Session, evaluation_id: UUID) -> list[Change]:
    """Let the monitor's alerts be what an ended evaluation makes of them.

    To be called in the transaction that ends it, after its results are written, so that no verdict
    is ever stored without its alert. Called again for the same evaluation, it changes nothing.
    Cancelled evaluations and those of a disabled monitor say nothing.

    Raises:
        NotFoundError: there is no such evaluation.
    """
    facts = repository.get_facts(session, evaluation_id)
    if facts is None:
        raise NotFoundError(
            f"there is no evaluation {evaluation_id}",
            code="unknown_evaluation",
            field="evaluation",
            value=str(evaluation_id),
        )
    if facts.state not in ("succeeded", "failed"):
        return []
    monitor = repository.lock_monitor(session, facts.monitor_id)
    if not monitor.enabled:
        return []
    alerts = repository.lock_unresolved(session, monitor.id)
    changes = drop_unwatched(alerts, monitor.watchlist)
    newer = repository.newer_evaluations(session, facts)
    known = repository.positions(
        session, {a.last_evaluation_id for a in alerts.values() if a.last_evaluation_id}
    )
    for finding in _findings(session, facts, monitor, newer, alerts):
        subject = (finding.subject_kind, finding.subject)
        alert = alerts.get(subject)
        last = alert.last_evaluation_id if alert is not None else None
        if last is not None and _is_older(facts, known.get(last)):
            continue
        change = apply(session, monitor, facts, alert, finding)
        if change is not None:
            changes.append(change)
    return _announce(session, changes, monitor.model, monitor.name)


def follow_all(session: Session, evaluation_ids: Iterable[UUID]) -> list[Change]:
    """`follow` for several evaluations that end at once, their monitors locked in one order."""
    found = (repository.get_facts(session, one) for one in evaluation_ids)
    ended = sorted((f for f in found if f is not None), key=lambda f: (f.monitor_id, f.position))
    return [change for facts in ended for change in follow(session, facts.id)]


def follow_monitor(session: Session, monitor: Monitor, model: str) -> list[Change]:
    """Resolve what a changed monitor, whose row the caller has locked, no longer watches."""
    alerts = repository.lock_unresolved(session, monitor.id)
    if monitor.enabled:
        changes = drop_unwatched(alerts, monitor.watchlist)
    else:
        said = "is no longer followed: its monitor is disabled"
        changes = [resolve(alert, said) for alert in alerts.values()]
    return _announce(session, changes, model, monitor.name)


def acknowledge(session: Session, alert_id: UUID, body: Acknowledgement) -> None:
    """Note that somebody looks after an alert; the same again changes nothing.

    Raises:
        NotFoundError: there is no such alert.
        ConflictError: it is resolved.
    """
    alert = repository.lock_alert(session, alert_id)
    if alert is None:
        raise unknown(alert_id)
    if alert.state == "resolved":
        raise ConflictError(
            f"the alert was resolved at {alert.resolved_at}; there is nothing to look after any "
            "more. A new finding opens a new alert",
            code="alert_resolved",
            field="state",
            value=alert.state,
        )
    if (alert.acknowledged_by, alert.note) == (body.by, body.note):
        return
    taken_from = alert.acknowledged_by
    alert.state = "acknowledged"
    alert.acknowledged_by, alert.note = body.by, body.note
    principal = principal_of(session)
    alert.acknowledged_principal = principal.name if principal is not None else None
    alert.acknowledged_at = alert.updated_at = now()
    session.flush()
    view = find_view(session, alert_id)
    audit.record(
        session,
        actor=body.by,
        action="alert.acknowledged",
        subject_id=alert_id,
        detail={
            "monitor": view.monitor,
            "subject_kind": alert.subject_kind,
            "subject": alert.subject,
            "condition": alert.condition,
            "severity": alert.severity,
            "note": body.note,
            "taken_over_from": taken_from,
        },
        model=view.model,
    )
    _announce(session, [Change("alert.acknowledged", alert)], view.model, view.monitor)


def find_view(session: Session, alert_id: UUID) -> AlertView:
    """An alert with names.

    Raises:
        NotFoundError: there is none.
    """
    view = repository.get_view(session, alert_id)
    if view is None:
        raise unknown(alert_id)
    return view


def unknown(alert_id: UUID) -> NotFoundError:
    """The error for an id that no alert has."""
    return NotFoundError(
        f"there is no alert {alert_id}; GET /v1/alerts lists them",
        code="unknown_alert",
        field="alert",
        value=str(alert_id),
    )


def _findings(
    session: Session,
    facts: Facts,
    monitor: Watched,
    newer: Newer,
    alerts: Mapping[Subject, Alert],
) -> list[Finding]:
    """What the evaluation says of each subject that no newer evaluation speaks of."""
    where = Where(str(facts.id), facts.checkpoint, facts.baseline, monitor.model)
    succeeded = facts.state == "succeeded"
    valid, reason = repository.any_verdict(session, facts.id) if succeeded else (False, None)
    found: list[Finding] = []
    if not newer.ended:
        error = None if succeeded else (facts.error or {})
        invalid = None if valid or not succeeded else _why_invalid(facts, reason)
        found.append(evaluation_finding(where, error, invalid))
    if not succeeded:
        return found
    rows = repository.baseline_verdicts(session, facts.id, monitor.watchlist)
    if not newer.succeeded:
        found += _control_findings(session, facts, where, rows, alerts)
    if valid and not newer.valid:
        found += _dictionary_findings(session, facts, where, alerts)
        found += [feature_finding(rows[name], where) for name in monitor.watchlist if name in rows]
    return found


def _why_invalid(facts: Facts, reason: str | None) -> str:
    comparisons = (facts.summary or {}).get("comparisons") or {}
    said = (comparisons.get("baseline") or {}).get("invalid_reason")
    return said or reason or "it has no verdict on any feature"


def _control_findings(
    session: Session,
    facts: Facts,
    where: Where,
    rows: Mapping[str, Any],
    alerts: Mapping[Subject, Alert],
) -> list[Finding]:
    found = []
    seen = set()
    for control in repository.controls(session, facts.id):
        seen.add(control.control)
        untrusted = sorted(
            name
            for name, row in rows.items()
            if ((row.controls or {}).get(control.control) or {}).get("passed") is False
        )
        found.append(control_finding(control, where, untrusted))
    asked = facts.policy.get("controls") or {}
    said = "is no longer run: the monitor's policy leaves it out"
    for kind, name in alerts:
        if kind == "control" and name not in seen and asked.get(name) is False:
            found.append(Finding(kind, name, "clear", said, where.evidence()))
    return found


def _dictionary_findings(
    session: Session, facts: Facts, where: Where, alerts: Mapping[Subject, Alert]
) -> list[Finding]:
    blaming = repository.blaming_verdicts(session, facts.id)
    found = [stale_finding(name, rows, where) for name, rows in blaming.items()]
    for (kind, name), alert in alerts.items():
        if kind == "dictionary" and name not in blaming:
            features = alert.evidence.get("features", [])
            rows = repository.baseline_verdicts(session, facts.id, features)
            found.append(recovery_finding(name, features, rows, where))
    return found


def _is_older(facts: Facts, last: Position | None) -> bool:
    """Whether the alert knows of something newer; what is deleted was never newer."""
    return last is not None and facts.position < last


def _announce(
    session: Session, changes: Sequence[Change], model: str, monitor: str
) -> list[Change]:
    """Emit an event for each change, with the alert as it is now."""
    session.flush()
    base = get_settings().public_url
    views = {
        view.alert.id: view
        for view in repository.views(session, [change.alert.id for change in changes])
    }
    for change in changes:
        data = present(views[change.alert.id], base=base).model_dump(mode="json")
        events.emit(session, change.event, data, model=model, monitor=monitor)
    return list(changes)
