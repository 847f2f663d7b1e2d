"""Alerts as they are answered and sent."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints

from app.core.schemas import Input, Output

SubjectKind = Literal["feature", "control", "dictionary", "evaluation"]
Condition = Literal["drifted", "slow_drift", "untrusted", "failed", "stale"]
Severity = Literal["page", "warning"]
State = Literal["open", "acknowledged", "resolved"]

_ALERT = "019ab7d2-5c00-7000-8000-00000000000c"
_EVALUATION = "019ab7d2-5c00-7000-8000-000000000003"
_FEATURE = "019ab7d2-5c00-7000-8000-000000000008"
_REPAIR = "019ab7d2-5c00-7000-8000-00000000000a"
_EXAMPLE: dict[str, Any] = {
    "id": _ALERT,
    "model": "support-bot",
    "monitor": "support-contact-data",
    "subject_kind": "feature",
    "subject": "phone",
    "condition": "drifted",
    "severity": "page",
    "state": "open",
    "detail": "Feature 'phone' has drifted in checkpoint '2026-11-22' of model 'support-bot' "
    "against '2026-11-01': 41% of the tokens that it fires on, before or now, are not the same, "
    "2.05 times the margin of 20% (interval 35% to 47%); diagnosis rotated: it is still there, in "
    "another direction of the activations.",
    "since_checkpoint": "2026-11-22",
    "last_checkpoint": "2026-11-22",
    "first_evaluation": _EVALUATION,
    "last_evaluation": _EVALUATION,
    "occurrences": 1,
    "opened_at": "2026-11-22T09:31:40Z",
    "updated_at": "2026-11-22T09:31:40Z",
    "acknowledged_at": None,
    "acknowledged_by": None,
    "acknowledged_principal": None,
    "note": None,
    "resolved_at": None,
    "repair": _REPAIR,
    "evidence": {
        "evaluation": _EVALUATION,
        "checkpoint": "2026-11-22",
        "baseline": "2026-11-01",
        "verdict": "drifted",
        "change": "identity",
        "estimand": "identity_sparse",
        "effect": 0.41,
        "lower": 0.35,
        "upper": 0.47,
        "margin": 0.2,
        "margin_source": "policy",
        "paged": True,
        "diagnosis": "rotated",
        "diagnosis_reason": "after an orthogonal map at the site it is equivalent again",
    },
    "links": {
        "self": f"/v1/alerts/{_ALERT}",
        "acknowledge": f"/v1/alerts/{_ALERT}:acknowledge",
        "monitor": "/v1/monitors/support-contact-data",
        "evaluation": f"/v1/evaluations/{_EVALUATION}",
        "verdict": f"/v1/evaluations/{_EVALUATION}/verdicts?feature=phone&comparison=baseline",
        "history": f"/v1/features/{_FEATURE}/history?monitor=support-contact-data",
        "gate": "/v1/models/support-bot/checkpoints/2026-11-22/gate",
        "repair": f"/v1/repairs/{_REPAIR}",
        "repairs": f"/v1/repairs?evaluation={_EVALUATION}",
        "runbook": "https://drift.example.com/runbooks/FeatureDrifted.md",
    },
    "pages": {
        "self": f"/alerts/{_ALERT}",
        "monitor": "/models/support-bot/monitors/support-contact-data",
        "evaluation": f"/evaluations/{_EVALUATION}",
        "verdict": f"/evaluations/{_EVALUATION}?feature=phone",
        "checkpoint": "/models/support-bot/checkpoints/2026-11-22",
        "history": f"/features/{_FEATURE}?monitor=support-contact-data",
        "repair": f"/repairs/{_REPAIR}",
    },
}


class AlertOut(Output):
    """What is wrong with one subject, for as long as it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: UUID
    model: str
    monitor: str
    subject_kind: SubjectKind
    subject: str = Field(description="A name; empty where it is about the monitor's evaluations")
    condition: Condition
    severity: Severity = Field(description="The worst since it was opened; `page` wakes somebody")
    state: State
    detail: str = Field(description="One sentence for a person, about the newest evaluation")
    since_checkpoint: str | None = Field(description="The first checkpoint it was found in")
    last_checkpoint: str | None = Field(description="The newest that said anything of the subject")
    first_evaluation: UUID | None = Field(description="Null once it is deleted, as is the last")
    last_evaluation: UUID | None
    occurrences: int = Field(description="Evaluations that found it so, in a row or not")
    opened_at: datetime
    updated_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    acknowledged_principal: str | None = Field(description="Whose key it was; `local` without")
    note: str | None
    resolved_at: datetime | None
    repair: UUID | None = Field(description="A proposal that would change the subject's definition")
    evidence: dict[str, Any] = Field(
        description="What the evaluation that last found it so measured, and in `latest` what a "
        "newer one says that could not tell or that resolved it"
    )
    links: dict[str, str] = Field(
        description="Where to go on: paths here, whole addresses in a webhook's data"
    )
    pages: dict[str, str] = Field(
        default_factory=dict,
        description="Where a person goes on: the web pages of the same; paths here, whole "
        "addresses in a webhook's data",
    )


class Acknowledgement(Input):
    """Who has taken it on."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"by": "ada", "note": "comparing with the last release"}]}
    )

    by: Annotated[str, StringConstraints(strip_whitespace=True)] = Field(
        min_length=1, max_length=200, description="The name of who looks after it"
    )
    note: str | None = Field(default=None, max_length=2000, description="Kept in the audit trail")
