"""Repairs as workers propose them and as they are answered."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints, computed_field

from app.core.schemas import Input, Output
from app.monitors.schemas import FeatureSetVersionRef
from app.registry.definitions import Name, Site
from app.registry.schemas.feature_sets import FeatureSetVersionOut
from app.registry.schemas.names import Sha256
from app.verdicts.schemas import Comparison, Diagnosis

State = Literal["proposed", "accepted", "rejected"]
Size = Annotated[int, Field(ge=1, lt=2**31)]

_DIGEST = "7c1f6c0f1d1c6d0a4f7a0e1e0b5d3b0c9f8a7e6d5c4b3a29181716151413121f"
_OLD: dict[str, Any] = {
    "kind": "direction",
    "name": "up",
    "site": "blocks.2.hook_resid_post",
    "vector": [1, 0],
}
_NEW: dict[str, Any] = {**_OLD, "vector": [0, 1]}
_DICTIONARY: dict[str, Any] = {
    "name": "layer-2.realigned-7c1f6c0f",
    "replaces": "layer-2",
    "artifact": f"dictionaries/{_DIGEST}",
    "digest": _DIGEST,
    "site": "blocks.2.hook_resid_post",
    "architecture": "jumprelu",
    "d_in": 128,
    "d_sae": 1024,
}
_CHANGE: dict[str, Any] = {
    "feature": "up",
    "old": _OLD,
    "new": _NEW,
    "diagnosis": "rotated",
    "reason": "equivalent again after a rotation fitted on half of the documents",
    "evidence": {"documents": 60, "identity": {"effect": 0.01, "upper": 0.03, "margin": 0.2}},
}
_REPAIR = "019ab7d2-5c00-7000-8000-00000000000a"
_EVALUATION = "019ab7d2-5c00-7000-8000-000000000003"
_SUMMARY: dict[str, Any] = {
    "id": _REPAIR,
    "evaluation": _EVALUATION,
    "monitor": "support-contact-data",
    "model": "support-bot",
    "checkpoint": "2026-11-22",
    "comparison": "baseline",
    "state": "proposed",
    "base": {"name": "contact-data", "version": 1},
    "changed": [{"feature": "up", "diagnosis": "rotated"}],
    "dictionaries": [_DICTIONARY],
    "created_at": "2026-11-22T09:31:00Z",
    "decided_at": None,
    "decided_by": None,
    "decided_principal": None,
    "note": None,
    "published": None,
    "links": {
        "self": f"/v1/repairs/{_REPAIR}",
        "accept": f"/v1/repairs/{_REPAIR}:accept",
        "reject": f"/v1/repairs/{_REPAIR}:reject",
        "evaluation": f"/v1/evaluations/{_EVALUATION}",
        "monitor": "/v1/monitors/support-contact-data",
    },
}
_DECIDED: dict[str, Any] = {
    **_SUMMARY,
    "state": "accepted",
    "decided_at": "2026-11-22T10:00:00Z",
    "decided_by": "ada",
    "decided_principal": "review",
    "note": "the rotation was announced",
    "published": {"name": "contact-data", "version": 2},
    "links": {
        "self": f"/v1/repairs/{_REPAIR}",
        "evaluation": f"/v1/evaluations/{_EVALUATION}",
        "monitor": "/v1/monitors/support-contact-data",
        "published": "/v1/feature-sets/contact-data/versions/2",
    },
}
_VERSION: dict[str, Any] = {
    "id": "019ab7d2-5c00-7000-8000-000000000007",
    "feature_set": "contact-data",
    "version": 2,
    "digest": _DIGEST,
    "features_count": 0,
    "features": [],
    "created_at": "2026-11-22T10:00:00Z",
}


class RepairChange(Output):
    """One feature, before and after."""

    feature: str = Field(min_length=1, description="Its name; `latent-<index>` of a dictionary")
    old: dict[str, Any] | None = Field(
        description="Its definition; null for a latent of a whole dictionary"
    )
    new: dict[str, Any] | None = Field(description="The proposed one; null likewise")
    diagnosis: Diagnosis
    reason: str = Field(min_length=1, description="Why this is proposed, for a person")
    evidence: dict[str, Any] = Field(
        description="What the proposed feature measures on documents it was not fitted on"
    )


class ProposedDictionary(Output):
    """A dictionary in the artifact store, registered when the repair is accepted."""

    name: Name
    replaces: Name | None = Field(
        default=None, description="The registered dictionary that it was realigned from"
    )
    artifact: str = Field(min_length=1, description="Its folder in the artifact store")
    digest: Sha256
    site: Site
    architecture: str = Field(min_length=1)
    d_in: Size
    d_sae: Size


class Changed(Output):
    """A changed feature by name."""

    feature: str
    diagnosis: Diagnosis


class RepairSummary(Output):
    """A repair without definitions and evidence."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SUMMARY]})

    id: UUID
    evaluation: UUID
    monitor: str
    model: str
    checkpoint: str
    comparison: Comparison
    state: State
    base: FeatureSetVersionRef | None = Field(
        description="The version that was evaluated; null for a whole dictionary"
    )
    changed: list[Changed]
    dictionaries: list[ProposedDictionary]
    created_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    decided_principal: str | None = Field(description="Whose key it was; `local` without keys")
    note: str | None
    published: FeatureSetVersionRef | None = Field(
        description="The version that acceptance published"
    )

    @computed_field  # type: ignore[prop-decorator]
    @property
    def links(self) -> dict[str, str]:
        """Where to go on; `accept` and `reject`, while it is undecided, are to be POSTed to."""
        here = f"/v1/repairs/{self.id}"
        found = {"self": here}
        if self.state == "proposed":
            found |= {"accept": f"{here}:accept", "reject": f"{here}:reject"}
        found["evaluation"] = f"/v1/evaluations/{self.evaluation}"
        found["monitor"] = f"/v1/monitors/{self.monitor}"
        if self.published is not None:
            name, version = self.published.name, self.published.version
            found["published"] = f"/v1/feature-sets/{name}/versions/{version}"
        return found


class RepairOut(RepairSummary):
    """A repair with its evidence and the whole proposed feature list."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{**_SUMMARY, "changes": [_CHANGE], "features": [_NEW]}]}
    )

    changes: list[RepairChange]
    features: list[dict[str, Any]]


class RepairDecision(RepairSummary):
    """A decided repair, with the version that acceptance published."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{**_DECIDED, "feature_set_version": _VERSION}]}
    )

    feature_set_version: FeatureSetVersionOut | None


class Decision(Input):
    """Who decides, and why."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"by": "ada", "note": "the rotation was announced"}]}
    )

    by: Annotated[str, StringConstraints(strip_whitespace=True)] = Field(
        min_length=1, max_length=200, description="The name of who decides"
    )
    note: str | None = Field(default=None, max_length=2000, description="Kept in the audit trail")
