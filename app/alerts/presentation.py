"""An alert with everything that a person needs to follow it up."""

from collections.abc import Mapping
from urllib.parse import quote, urlencode
from uuid import UUID

from app.alerts.repository import AlertView
from app.alerts.schemas import AlertOut
from app.settings import get_settings

_RUNBOOKS: Mapping[tuple[str, str], str] = {
    ("feature", "drifted"): "FeatureDrifted",
    ("feature", "slow_drift"): "FeatureDrifted",
    ("feature", "untrusted"): "FeatureUntrusted",
    ("control", "failed"): "ControlFailed",
    ("dictionary", "stale"): "DictionaryStale",
    ("evaluation", "failed"): "EvaluationFailed",
}


def present(view: AlertView, *, base: str = "") -> AlertOut:
    """An alert as it is answered.

    Args:
        base: what goes before the paths of the links; empty in the API's own answers.
    """
    alert = view.alert
    repair = _repair(view)
    return AlertOut(
        id=alert.id,
        model=view.model,
        monitor=view.monitor,
        subject_kind=alert.subject_kind,
        subject=alert.subject,
        condition=alert.condition,
        severity=alert.severity,
        state=alert.state,
        detail=alert.detail,
        since_checkpoint=view.since,
        last_checkpoint=view.latest,
        first_evaluation=alert.first_evaluation_id,
        last_evaluation=alert.last_evaluation_id,
        occurrences=alert.occurrences,
        opened_at=alert.opened_at,
        updated_at=alert.updated_at,
        acknowledged_at=alert.acknowledged_at,
        acknowledged_by=alert.acknowledged_by,
        acknowledged_principal=alert.acknowledged_principal,
        note=alert.note,
        resolved_at=alert.resolved_at,
        repair=repair,
        evidence=alert.evidence,
        links={
            **{name: base + path for name, path in _paths(view, repair).items()},
            "runbook": _runbook(alert.subject_kind, alert.condition),
        },
        pages={name: base + path for name, path in _pages(view, repair).items()},
    )


def _repair(view: AlertView) -> UUID | None:
    """The newest proposal that changes the feature, or a feature that blames the dictionary."""
    alert = view.alert
    if alert.subject_kind == "feature":
        concerned = {alert.subject}
    elif alert.subject_kind == "dictionary":
        concerned = set(alert.evidence.get("features", ()))
    else:
        return None
    found = [one.id for one in view.proposals if concerned.intersection(one.features)]
    return found[-1] if found else None


def _paths(view: AlertView, repair: UUID | None) -> dict[str, str]:
    alert, evidence = view.alert, view.alert.evidence
    monitor = f"/v1/monitors/{view.monitor}"
    paths = {
        "self": f"/v1/alerts/{alert.id}",
        "acknowledge": f"/v1/alerts/{alert.id}:acknowledge",
        "monitor": monitor,
        "history": f"{monitor}/history",
    }
    evaluation, checkpoint = evidence.get("evaluation"), evidence.get("checkpoint")
    if evaluation is not None:
        here = f"/v1/evaluations/{evaluation}"
        paths["evaluation"] = here
        if alert.subject_kind == "feature":
            query = urlencode({"feature": alert.subject, "comparison": "baseline"})
            paths["verdict"] = f"{here}/verdicts?{query}"
        elif alert.subject_kind == "dictionary":
            paths["verdict"] = f"{here}/verdicts?diagnosis=dictionary_stale&comparison=baseline"
        elif alert.subject_kind == "control":
            paths["verdict"] = f"{here}/verdicts?verdict=untrusted&comparison=baseline"
        elif evidence.get("outcome") == "failed":
            paths["retry"] = f"{here}:retry"
        if alert.subject_kind in ("feature", "dictionary"):
            paths["repairs"] = f"/v1/repairs?evaluation={evaluation}"
    if checkpoint is not None:
        paths["checkpoint"] = f"/v1/models/{view.model}/checkpoints/{quote(checkpoint)}"
        paths["gate"] = f"{paths['checkpoint']}/gate"
    if (feature := evidence.get("feature_id")) is not None:
        paths["history"] = f"/v1/features/{feature}/history?{urlencode({'monitor': view.monitor})}"
    if repair is not None:
        paths["repair"] = f"/v1/repairs/{repair}"
    if alert.last_evaluation_id is not None and str(alert.last_evaluation_id) != evaluation:
        paths["last_evaluation"] = f"/v1/evaluations/{alert.last_evaluation_id}"
    return paths


def _pages(view: AlertView, repair: UUID | None) -> dict[str, str]:
    """Where a person looks further: the same as the links, as web pages."""
    alert, evidence = view.alert, view.alert.evidence
    model = f"/models/{quote(view.model)}"
    paths = {"self": f"/alerts/{alert.id}", "monitor": f"{model}/monitors/{quote(view.monitor)}"}
    if (evaluation := evidence.get("evaluation")) is not None:
        paths["evaluation"] = f"/evaluations/{evaluation}"
        if alert.subject_kind == "feature":
            query = urlencode({"feature": alert.subject})
            paths["verdict"] = f"/evaluations/{evaluation}?{query}"
        elif alert.subject_kind == "dictionary":
            paths["verdict"] = f"/evaluations/{evaluation}?diagnosis=dictionary_stale"
        elif alert.subject_kind == "control":
            paths["verdict"] = f"/evaluations/{evaluation}?verdict=untrusted"
    if (checkpoint := evidence.get("checkpoint")) is not None:
        paths["checkpoint"] = f"{model}/checkpoints/{quote(checkpoint)}"
    if (feature := evidence.get("feature_id")) is not None:
        paths["history"] = f"/features/{feature}?{urlencode({'monitor': view.monitor})}"
    if repair is not None:
        paths["repair"] = f"/repairs/{repair}"
    return paths


def _runbook(subject_kind: str, condition: str) -> str:
    return f"{get_settings().runbook_url.rstrip('/')}/{_RUNBOOKS[subject_kind, condition]}.md"
