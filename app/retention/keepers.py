"""Which monitors let something go, by their policies as they are now."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.core.errors import InvalidInputError
from app.monitors.baselines import resolve_baselines
from app.monitors.policy import RetentionPolicy
from app.retention import repository
from app.retention.repository import Keeper


@dataclass(frozen=True)
class Keepers:
    """The monitors that let snapshots go, those that let tables go, and what stands in the way."""

    snapshots: Sequence[Keeper]
    tables: Sequence[Keeper]
    notes: Sequence[str]


def keepers(session: Session) -> Keepers:
    """The policies of all monitors. One whose baseline names nothing now keeps everything."""
    snapshots: list[Keeper] = []
    tables: list[Keeper] = []
    notes: list[str] = []
    found = repository.monitors(session)
    baselines = resolve_baselines(session, found)
    for monitor, _ in found:
        policy = RetentionPolicy.model_validate(monitor.policy.get("retention") or {})
        if policy.keep_last is None and policy.keep_last_tables is None:
            continue
        baseline = baselines[monitor.id]
        if isinstance(baseline, InvalidInputError):
            notes.append(f"monitor {monitor.name!r} keeps everything: {baseline.detail}")
            continue
        for last, chosen in ((policy.keep_last, snapshots), (policy.keep_last_tables, tables)):
            if last is not None:
                chosen.append(Keeper(monitor.id, last, baseline.id, baseline.weights_digest))
    return Keepers(snapshots, tables, notes)
