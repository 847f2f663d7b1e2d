"""How models stand: what the first pages say of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from app.registry.tables import Checkpoint, Model
from app.verdicts.repository import verdict_counts
from app.verdicts.schemas import GateOut
from app.verdicts.service import gates_of
from app.web import repository

_URGENCY = ("fail", "inconclusive", "pending", "unknown", "pass")
VERDICTS = ("drifted", "untrusted", "invalid", "inconclusive", "insufficient", "stable")
"""In the order in which people look at them."""


@dataclass(frozen=True)
class Standing:
    """A model as it is now.

    Attributes:
        checkpoint: the newest, and
        gate: the answer for it; both None before the first is registered.
        alerts: unresolved ones, by (severity, state).
        repairs: how many wait for a decision.
        monitors: how many are enabled.
    """

    model: Model
    checkpoint: Checkpoint | None
    gate: GateOut | None
    alerts: Mapping[tuple[str, str], int]
    repairs: int
    monitors: int

    @property
    def outcome(self) -> str:
        """The gate's answer; `unknown` without a checkpoint or without a monitor."""
        if self.gate is None or not self.monitors:
            return "unknown"
        return self.gate.gate

    @property
    def unresolved(self) -> int:
        """Alerts that are not resolved."""
        return sum(self.alerts.values())

    @property
    def pages(self) -> int:
        """Alerts that woke somebody and that nobody has acknowledged."""
        return self.alerts.get(("page", "open"), 0)


def standings(session: Session, models: Sequence[Model]) -> list[Standing]:
    """How some models stand, in the order given."""
    ids = [model.id for model in models]
    newest = repository.newest_checkpoints(session, ids)
    alerts = repository.unresolved_alerts(session, ids)
    repairs = repository.proposed_repairs(session, ids)
    monitors = repository.monitor_counts(session, ids)
    gates = gates_of(session, [(one, newest[one.id]) for one in models if one.id in newest])
    found = []
    for model in models:
        checkpoint = newest.get(model.id)
        found.append(
            Standing(
                model,
                checkpoint,
                gates[checkpoint.id] if checkpoint is not None else None,
                alerts.get(model.id, {}),
                repairs.get(model.id, 0),
                monitors.get(model.id, 0),
            )
        )
    return found


def most_urgent_first(found: Sequence[Standing]) -> list[Standing]:
    """The same, those that somebody should look at first."""
    return sorted(found, key=lambda one: (_URGENCY.index(one.outcome), -one.pages, -one.unresolved))


def counts_of(comparisons: Mapping[str, Any], comparison: str = "baseline") -> dict[str, int]:
    """Features by verdict as an evaluation's summary has them."""
    counts = (comparisons.get(comparison) or {}).get("counts") or {}
    return {str(word): int(count) for word, count in counts.items() if count}


def counts_with_rows(
    session: Session, evaluations: Mapping[UUID, Mapping[str, Any]]
) -> dict[UUID, dict[str, int]]:
    """Evaluation → features by verdict against the baseline; its rows counted without a summary.

    Args:
        evaluations: their ids → the comparisons of their summaries.
    """
    bare = [one for one, comparisons in evaluations.items() if not counts_of(comparisons)]
    counted = verdict_counts(session, bare) if bare else {}
    return {
        one: counts_of(comparisons) or counted.get((one, "baseline"), {})
        for one, comparisons in evaluations.items()
    }
