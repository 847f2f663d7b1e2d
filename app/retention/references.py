"""What refers to an artifact, for all of a kind at once, or for one again under its lock."""

from collections.abc import Callable, Iterable

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.retention.layout import Unit

_REFERRED = {
    "tokens": (
        "SELECT DISTINCT plan->>'tokens_key' FROM snapshots "
        "WHERE state <> 'collected' AND plan->>'tokens_key' = ANY(:keys)"
    ),
    "corpus": "SELECT artifact_key FROM corpora WHERE artifact_key = ANY(:keys)",
    "dictionary": (
        "SELECT substr(source, 10) FROM dictionaries "
        "WHERE source LIKE 'artifact:%' AND substr(source, 10) = ANY(:keys) "
        "UNION SELECT d->>'artifact' FROM repairs r, jsonb_array_elements(r.dictionaries) d "
        "WHERE r.state IN ('proposed', 'accepted') AND d->>'artifact' = ANY(:keys)"
    ),
    "snapshot": (
        "SELECT 'snapshots/' || key FROM snapshots "
        "WHERE collected_at IS NULL AND 'snapshots/' || key = ANY(:keys)"
    ),
}
_EVALUATIONS = "SELECT CAST(id AS text) FROM evaluations WHERE CAST(id AS text) = ANY(:keys)"

REASONS: dict[str, str] = {
    "tokens": "no snapshot is left that was made of these tokens",
    "controls": "a cache, worked out anew when it is needed",
    "corpus": "no corpus is registered with these documents",
    "dictionary": "no registered dictionary and no proposed or accepted repair refers to it",
    "snapshot": "no snapshot is registered under this key",
    "passages": "its evaluation does not exist any more",
    "table": "its evaluation does not exist any more",
    "report": "its evaluation does not exist any more",
    "temporary": "a writer that was killed has left it",
}


def unreferred(session: Session, units: Iterable[Unit]) -> list[Unit]:
    """Those units to which nothing refers. Of caches and temporary files, that is all."""
    found: list[Unit] = []
    by_kind: dict[str, list[Unit]] = {}
    for unit in units:
        by_kind.setdefault(unit.kind, []).append(unit)
    for kind, ones in by_kind.items():
        if kind in _REFERRED:
            referred = _among(session, _REFERRED[kind], ones, lambda unit: unit.key)
            found.extend(unit for unit in ones if unit.key not in referred)
        elif kind in ("passages", "table", "report"):
            referred = _among(session, _EVALUATIONS, ones, lambda unit: unit.id)
            found.extend(unit for unit in ones if unit.id not in referred)
        else:
            found.extend(ones)
    return sorted(found, key=lambda unit: unit.key)


def _among(
    session: Session, statement: str, units: list[Unit], name: Callable[[Unit], str]
) -> set[str]:
    keys = sorted({name(unit) for unit in units})
    return set(session.scalars(text(statement), {"keys": keys}).all())
