"""What would go, why, and how many bytes: read alike for the dry run and for the collector."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from app.core.artifacts import ArtifactStore
from app.core.clock import now
from app.core.database import Database
from app.retention import repository
from app.retention.keepers import keepers
from app.retention.layout import FOLDERS, Unit, units
from app.retention.references import REASONS, unreferred
from app.retention.rules import Rules, Scope


@dataclass(frozen=True)
class Item:
    """One thing that would go.

    Attributes:
        key: its file or folder in the store.
        marked_at: since when it is marked; None if the next run will mark it.
        due_at: when a run may delete it; None before it is marked.
    """

    key: str
    kind: str
    reason: str
    bytes: int
    marked_at: datetime | None
    due_at: datetime | None
    snapshot_id: UUID | None = None


@dataclass(frozen=True)
class Plan:
    """All that would go, and what was left alone because nobody knows it."""

    scope: Scope
    items: Sequence[Item]
    notes: Sequence[str] = ()
    unknown: Sequence[str] = ()
    unkept: Sequence[UUID] = field(default=(), repr=False)
    """Snapshots that nobody keeps, in this scope or beyond it: these marks stay."""

    def to_json(self) -> dict[str, Any]:
        """As a program reads it."""
        return {
            "scope": self.scope,
            "bytes": sum(item.bytes for item in self.items),
            "items": [
                {
                    key: value.isoformat() if isinstance(value, datetime) else value
                    for key, value in asdict(item).items()
                    if key != "snapshot_id"
                }
                for item in self.items
            ],
            "notes": list(self.notes),
            "unknown": list(self.unknown),
        }


def make_plan(database: Database, store: ArtifactStore, rules: Rules, scope: Scope) -> Plan:
    """Read what would go at this moment; nothing is changed."""
    with database.unit_of_work() as session:
        found = keepers(session)
        unkept = repository.unkept_snapshots(session, found.snapshots)
        tables = repository.unkept_tables(session, found.tables) if found.tables else {}
        marked = repository.retired(session)
    policy = len(found.snapshots) > 0
    items = [
        _snapshot(row, store, rules)
        for row in unkept
        if scope == "all" or (policy and row.monitors)
    ]
    unknown: list[str] = []
    leftovers: list[tuple[Unit, str]] = []
    if tables or scope == "all":
        listed, unknown = _list(store, FOLDERS if scope == "all" else ("evaluations",))
        leftovers = [
            (
                unit,
                f"beyond the newest evaluated checkpoints whose tables "
                f"{tables[UUID(unit.id)]!r} keeps",
            )
            for unit in listed
            if unit.kind == "table" and UUID(unit.id) in tables
        ]
        if scope == "all":
            with database.unit_of_work() as session:
                leftovers += _unreferred(session, listed, rules)
    items += [_artifact(unit, reason, marked, rules) for unit, reason in leftovers]
    return Plan(scope, items, found.notes, unknown, [row.id for row in unkept])


def _list(store: ArtifactStore, folders: Sequence[str]) -> tuple[list[Unit], list[str]]:
    return units([found for folder in folders for found in store.objects(folder)])


def _unreferred(session: Session, listed: Sequence[Unit], rules: Rules) -> list[tuple[Unit, str]]:
    moment = now()
    old = [
        unit
        for unit in listed
        if moment - unit.modified
        >= (rules.cache_age if unit.kind == "controls" else rules.leftover_age)
    ]
    return [(unit, REASONS[unit.kind]) for unit in unreferred(session, old)]


def _snapshot(row: Any, store: ArtifactStore, rules: Rules) -> Item:
    key = f"snapshots/{row.key}"
    size = row.bytes
    if size is None:
        size = sum(found.size for found in store.objects(key))
    if row.monitors:
        names = ", ".join(repr(name) for name in row.monitors)
        why = f"beyond the newest evaluated checkpoints whose snapshots {names} keep"
    else:
        why = "no evaluation refers to it"
    return Item(
        key=key,
        kind="snapshot",
        reason=f"{row.purpose or 'features'} of {row.model}/{row.checkpoint}: {why}",
        bytes=size,
        marked_at=row.marked_at,
        due_at=row.marked_at + rules.grace if row.marked_at else None,
        snapshot_id=row.id,
    )


def _artifact(unit: Unit, reason: str, marked: dict[str, datetime], rules: Rules) -> Item:
    since = marked.get(unit.key)
    return Item(
        key=unit.key,
        kind=unit.kind,
        reason=reason,
        bytes=unit.size,
        marked_at=since,
        due_at=since + rules.grace if since else None,
    )
