# Written by `make client` from app/client/asynchronous; change it there.
"""What people look after: monitors, alerts, repairs, the audit trail."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from app.access.audit_schemas import AuditEventOut
from app.alerts.schemas import Acknowledgement, AlertOut, Severity, SubjectKind
from app.alerts.schemas import State as AlertState
from app.client.protocol import build, given, path_of, several
from app.client.synchronous.transport import Transport
from app.monitors.schemas import MonitorCreate, MonitorOut, MonitorPatch
from app.repairs.schemas import Decision, RepairDecision, RepairOut, RepairSummary
from app.repairs.schemas import State as RepairState
from app.verdicts.schemas import MonitorHistoryItem


class Monitors:
    """Model, corpus, features, baseline and policy: what is asked of every checkpoint."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        name: str,
        *,
        model: str,
        corpus: str,
        baseline: Mapping[str, str],
        feature_set: str | Mapping[str, Any] | None = None,
        dictionary: str | None = None,
        policy: Mapping[str, Any] | None = None,
        watchlist: Sequence[str] | None = None,
        enabled: bool = True,
        description: str | None = None,
    ) -> MonitorOut:
        """Watch a model: each checkpoint registered from now on is evaluated.

        Args:
            baseline: `{"alias": "baseline"}` or `{"checkpoint": "v1"}`.
            feature_set: a name (its latest version), or `{"name": …, "version": …}`.
            dictionary: in its place, all latents of a dictionary.
            policy: what differs from the default policy.
            watchlist: features with metrics and alerts of their own.
        """
        chosen = {"name": feature_set} if isinstance(feature_set, str) else feature_set
        fields = given(
            feature_set=chosen,
            dictionary=dictionary,
            policy=policy,
            watchlist=watchlist,
            description=description,
        )
        if not enabled:
            fields["enabled"] = False
        body = build(
            MonitorCreate, name=name, model=model, corpus=corpus, baseline=baseline, **fields
        )
        return self._transport.read(MonitorOut, "POST", path_of("monitors"), body=body)

    def get(self, monitor: str) -> MonitorOut:
        """A monitor."""
        return self._transport.read(MonitorOut, "GET", path_of("monitors", monitor))

    def list(
        self, *, model: str | None = None, enabled: bool | None = None
    ) -> Iterator[MonitorOut]:
        """Monitors, newest first."""
        query = {"model": model, "enabled": enabled}
        return self._transport.pages(MonitorOut, "monitors", query=query)

    def change(self, monitor: str, *, version: int | None = None, **changes: Any) -> MonitorOut:
        """Change a monitor; accepted evaluations keep what they had.

        Args:
            version: the one that was read; default: the one that holds now.
            changes: fields of `MonitorPatch`, each replaced as a whole.

        Raises:
            PreconditionError: `version` is not the one that holds.
        """
        body = build(MonitorPatch, **changes)
        if version is None:
            version = (self.get(monitor)).version
        path = path_of("monitors", monitor)
        return self._transport.read(MonitorOut, "PATCH", path, body=body, version=version)

    def history(self, monitor: str) -> Iterator[MonitorHistoryItem]:
        """Evaluations of a monitor with their verdict counts, newest first."""
        return self._transport.pages(MonitorHistoryItem, "monitors", monitor, "history")


class Alerts:
    """What is wrong with one subject each, for as long as it is."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(
        self,
        *,
        model: str | None = None,
        monitor: str | None = None,
        state: AlertState | Sequence[AlertState] = (),
        subject_kind: SubjectKind | None = None,
        subject: str | None = None,
        severity: Severity | None = None,
    ) -> Iterator[AlertOut]:
        """Alerts, newest first; several states mean any of them."""
        query = {
            "model": model,
            "monitor": monitor,
            "state": several(state),
            "subject_kind": subject_kind,
            "subject": subject,
            "severity": severity,
        }
        return self._transport.pages(AlertOut, "alerts", query=query)

    def get(self, alert: UUID | str) -> AlertOut:
        """An alert, with links to its evaluation, verdict, history, repair and runbook."""
        return self._transport.read(AlertOut, "GET", path_of("alerts", alert))

    def acknowledge(self, alert: UUID | str, *, by: str, note: str | None = None) -> AlertOut:
        """Say who looks after it; it stays so while the condition lasts."""
        body = build(Acknowledgement, by=by, **given(note=note))
        path = path_of("alerts", f"{alert}:acknowledge")
        return self._transport.read(AlertOut, "POST", path, body=body)


class Repairs:
    """Proposals of what to watch from now on; none applies itself."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(
        self,
        *,
        monitor: str | None = None,
        evaluation: UUID | str | None = None,
        state: RepairState | None = None,
    ) -> Iterator[RepairSummary]:
        """Repairs without definitions and evidence, newest first."""
        chosen = None if evaluation is None else str(evaluation)
        query = {"monitor": monitor, "evaluation": chosen, "state": state}
        return self._transport.pages(RepairSummary, "repairs", query=query)

    def get(self, repair: UUID | str) -> RepairOut:
        """A repair with its evidence and the whole proposed feature list."""
        return self._transport.read(RepairOut, "GET", path_of("repairs", repair))

    def accept(self, repair: UUID | str, *, by: str, note: str | None = None) -> RepairDecision:
        """Publish the proposed version; no monitor watches it before it is changed to do so."""
        return self._decide(repair, "accept", by, note)

    def reject(self, repair: UUID | str, *, by: str, note: str | None = None) -> RepairDecision:
        """Turn a proposal down; it stays as a record."""
        return self._decide(repair, "reject", by, note)

    def _decide(self, repair: UUID | str, what: str, by: str, note: str | None) -> RepairDecision:
        body = build(Decision, by=by, **given(note=note))
        path = path_of("repairs", f"{repair}:{what}")
        return self._transport.read(RepairDecision, "POST", path, body=body)


class Audit:
    """Who decided what, and when; never changed or removed."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(
        self,
        *,
        actor: str | None = None,
        action: str | None = None,
        subject_kind: str | None = None,
        subject_id: UUID | str | None = None,
    ) -> Iterator[AuditEventOut]:
        """Events, newest first."""
        query = {
            "actor": actor,
            "action": action,
            "subject_kind": subject_kind,
            "subject_id": None if subject_id is None else str(subject_id),
        }
        return self._transport.pages(AuditEventOut, "audit-events", query=query)
