"""Evaluations as they are asked for and answered."""

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from app.core.schemas import Input, Output
from app.monitors.policy import DriftPolicy
from app.monitors.schemas import FeatureSetVersionRef
from app.registry.definitions import Name

State = Literal["queued", "running", "succeeded", "failed", "cancelled"]
Step = Literal["plan", "capture", "compare", "done"]
_ID = "019ab7d2-5c00-7000-8000-000000000003"
_DIGEST = "7c1f6c0f1d1c6d0a4f7a0e1e0b5d3b0c9f8a7e6d5c4b3a29181716151413121f"


class EvaluationCreate(Input):
    """One monitor's question about one checkpoint."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"monitor": "support-contact-data", "checkpoint": "2026-11-22"}]
        }
    )

    monitor: Name
    checkpoint: Name


class Progress(Output):
    """Shards that are known; captures join when the plan is made."""

    shards_done: int
    shards_total: int


class Failure(Output):
    """Why an evaluation failed, for a program and for a person."""

    code: str
    detail: str


class ControlOut(Output):
    """The outcome of one negative control."""

    control: str
    passed: bool | None = Field(description="Null: not applicable, or it cannot be told")
    detail: str
    figures: dict[str, Any]


class PageShareOut(Output):
    """What an evaluation may spend of its monitor's false-page budget of the quarter."""

    alpha: float = Field(description="Level for all its pages together")
    quarter: date = Field(description="The first day of the calendar quarter, UTC")
    ordinal: int = Field(description="1 for the first evaluation of the quarter")
    planned: bool = Field(description="False beyond the planned number: from the rest's tail")


class DictionaryHealthOut(Output):
    """How well a dictionary reconstructs its site on one side of the evaluation."""

    role: str = Field(description="candidate, baseline or previous")
    dictionary: str
    fvu: float | None
    l0: float | None
    dead_ratio: float | None
    figures: dict[str, Any]


class EvaluationOut(Output):
    """The long-running job that makes snapshots, comparisons and verdicts."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": _ID,
                    "monitor": "support-contact-data",
                    "model": "support-bot",
                    "checkpoint": "2026-11-22",
                    "baseline": "2026-11-01",
                    "previous": "2026-11-15",
                    "corpus": "support-probes",
                    "feature_set": {"name": "contact-data", "version": 1},
                    "dictionary": None,
                    "policy": DriftPolicy().model_dump(mode="json"),
                    "inputs_digest": _DIGEST,
                    "state": "succeeded",
                    "step": "done",
                    "progress": {"shards_done": 5, "shards_total": 5},
                    "attempts": 1,
                    "error": None,
                    "summary": {
                        "comparisons": {"baseline": {"counts": {"stable": 11, "drifted": 1}}}
                    },
                    "controls": [
                        {
                            "control": "no_op",
                            "passed": True,
                            "detail": "the same weights again gave the same bytes",
                            "figures": {},
                        },
                        {
                            "control": "permuted_labels",
                            "passed": None,
                            "detail": "no watched feature has a concept that the corpus labels",
                            "figures": {},
                        },
                    ],
                    "page_share": {
                        "alpha": 0.0031,
                        "quarter": "2026-10-01",
                        "ordinal": 8,
                        "planned": True,
                    },
                    "dictionary_health": [
                        {
                            "role": "candidate",
                            "dictionary": "layer-2",
                            "fvu": 0.14,
                            "l0": 16.0,
                            "dead_ratio": 0.01,
                            "figures": {},
                        }
                    ],
                    "collected": [],
                    "created_at": "2026-11-22T09:31:00Z",
                    "started_at": "2026-11-22T09:31:01Z",
                    "finished_at": "2026-11-22T09:31:40Z",
                    "links": {
                        "self": f"/v1/evaluations/{_ID}",
                        "verdicts": f"/v1/evaluations/{_ID}/verdicts",
                        "repairs": f"/v1/repairs?evaluation={_ID}",
                        "cancel": f"/v1/evaluations/{_ID}:cancel",
                        "retry": f"/v1/evaluations/{_ID}:retry",
                        "monitor": "/v1/monitors/support-contact-data",
                        "checkpoint": "/v1/models/support-bot/checkpoints/2026-11-22",
                        "gate": "/v1/models/support-bot/checkpoints/2026-11-22/gate",
                    },
                }
            ]
        }
    )

    id: UUID
    monitor: str
    model: str
    checkpoint: str
    baseline: str = Field(description="The pinned checkpoint, as resolved at acceptance")
    previous: str | None = Field(description="The parent, else the checkpoint registered before")
    corpus: str
    feature_set: FeatureSetVersionRef | None
    dictionary: str | None
    policy: dict[str, Any] = Field(description="The monitor's policy as it was at acceptance")
    inputs_digest: str
    state: State
    step: Step
    progress: Progress
    attempts: int = Field(description="The largest number of attempts at any of its shards")
    error: Failure | None
    summary: dict[str, Any] | None
    controls: list[ControlOut]
    page_share: PageShareOut | None = Field(description="Null until it is compared")
    dictionary_health: list[DictionaryHealthOut]
    collected: list[str] = Field(
        description="Roles whose snapshots retention has removed. Verdicts and report stay as they "
        "are; what needs the activations (a retry, a new diagnosis) captures them again, for which "
        "the checkpoint's source must still be there"
    )
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    links: dict[str, str]
