"""Two whole model lines, of which a key that is bound to one must not see the other."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi.testclient import TestClient

from app.alerts.service import follow
from app.core.database import Database
from app.repairs.writing import replace_proposal
from app.settings import Settings
from tests.support.api import (
    DOCUMENTS,
    FEATURES,
    finish,
    make_checkpoint,
    make_dictionary,
    monitor_body,
    post,
    verdict,
)


@dataclass(frozen=True)
class Line:
    """A model with one of everything; each of its names begins with the model's.

    Attributes:
        parameters: what stands in paths: parameter → name or id.
    """

    model: str
    parameters: dict[str, str]

    def path(self, template: str) -> str:
        """A route's path to what is this line's."""
        return template.format(**self.parameters)

    def marks(self) -> set[str]:
        """What shows in any text that tells of it: its names, and its ids."""
        return {self.model, *(v for v in self.parameters.values() if len(v) == 36)}


def register(
    admin: TestClient, settings: Settings, database: Database, model: str, **monitor: Any
) -> Line:
    """Register a line with an unbound key, and let its evaluation have ended."""
    root = settings.allowed_roots[0]
    post(admin, "/v1/models", {"name": model})
    checkpoints = f"/v1/models/{model}/checkpoints"
    base, following = f"{model}-base", f"{model}-next"
    post(admin, checkpoints, {"name": base, "source": make_checkpoint(root / base)})
    admin.put(f"/v1/models/{model}/aliases/{model}-alias", json={"checkpoint": base})
    documents = [{**document, "id": f"{model}-{document['id']}"} for document in DOCUMENTS]
    post(admin, "/v1/corpora", {"name": f"{model}-corpus", "documents": documents})
    source = make_dictionary(root / f"{model}-sae")
    post(admin, "/v1/dictionaries", {"name": f"{model}-dictionary", "source": source})
    post(admin, "/v1/feature-sets", {"name": f"{model}-set", "features": features(model)})
    body = monitor_body(
        name=f"{model}-monitor",
        model=model,
        corpus=f"{model}-corpus",
        feature_set={"name": f"{model}-set"},
        baseline={"alias": f"{model}-alias"},
        watchlist=["number"],
    )
    post(admin, "/v1/monitors", body | monitor)
    source = make_checkpoint(root / following)
    (evaluation,) = post(admin, checkpoints, {"name": following, "source": source}, 202)[
        "evaluations"
    ]
    asked = {**body, **monitor}["feature_set"]["name"]
    feature = admin.get(f"/v1/feature-sets/{asked}/versions/1").json()["features"][0]["id"]
    with database.unit_of_work() as session:
        rows = [verdict("number", "drifted", feature_id=feature, reason=f"of {model}")]
        finish(session, evaluation, rows)
        change = {"feature": "up", "old": FEATURES[1], "new": FEATURES[1], "reason": "rotated"}
        repair = replace_proposal(
            session,
            UUID(evaluation),
            "baseline",
            changes=[{**change, "diagnosis": "rotated", "evidence": {}}],
            features=features(model),
        )
        (opened,) = follow(session, UUID(evaluation))
        assert repair is not None
    hook = post(admin, "/v1/webhooks", {"url": "https://hooks.invalid/", "models": [model]})["id"]
    delivery = post(admin, f"/v1/webhooks/{hook}:test", None, 202)["id"]
    key = {"name": f"{model}-spare", "scope": "read", "models": [model]}
    return Line(
        model,
        {
            "model": model,
            "checkpoint": following,
            "alias": f"{model}-alias",
            "corpus": f"{model}-corpus",
            "dictionary": f"{model}-dictionary",
            "feature_set": f"{model}-set",
            "version": "1",
            "feature": feature,
            "monitor": f"{model}-monitor",
            "evaluation": evaluation,
            "repair": str(repair.id),
            "alert": str(opened.alert.id),
            "webhook": hook,
            "delivery": delivery,
            "key": post(admin, "/v1/api-keys", key)["id"],
        },
    )


def features(model: str) -> list[dict[str, Any]]:
    """Features that read the model's own dictionary."""
    return [
        {**feature, "dictionary": f"{model}-dictionary"} if "dictionary" in feature else feature
        for feature in FEATURES
    ]
