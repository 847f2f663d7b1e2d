"""SQL of monitors."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from app.core.rows import insert_if_absent, newest_first
from app.monitors.tables import Monitor
from app.registry.tables import Corpus, Dictionary, Feature, FeatureSet, FeatureSetVersion, Model


@dataclass(frozen=True)
class MonitorView:
    """A monitor with the names of what it refers to."""

    monitor: Monitor
    model: str
    corpus: Corpus
    feature_set: str | None
    feature_set_version: int | None
    dictionary: str | None


def insert_monitor(session: Session, **values: Any) -> Monitor | None:
    """A new monitor, or None when the name is taken."""
    return insert_if_absent(session, Monitor, ["name"], **values)


def get_monitor(session: Session, name: str, *, lock: bool = False) -> MonitorView | None:
    """A monitor by name."""
    if lock:
        session.execute(select(Monitor.id).where(Monitor.name == name).with_for_update())
    row = session.execute(_views().where(Monitor.name == name)).one_or_none()
    return MonitorView(*row) if row is not None else None


def list_monitors(
    session: Session,
    *,
    model: str | None,
    enabled: bool | None,
    after: UUID | None,
    limit: int,
) -> Sequence[MonitorView]:
    """Monitors, newest first, one more than `limit`."""
    statement = _views()
    if model is not None:
        statement = statement.where(Model.name == model)
    if enabled is not None:
        statement = statement.where(Monitor.enabled == enabled)
    rows = session.execute(newest_first(statement, Monitor.id, after, limit))
    return [MonitorView(*row) for row in rows]


def enabled_monitors(session: Session, model_id: UUID) -> Sequence[Monitor]:
    """Enabled monitors of a model, oldest first."""
    return enabled_monitors_of(session, [model_id]).get(model_id, [])


def enabled_monitors_of(session: Session, model_ids: Collection[UUID]) -> dict[UUID, list[Monitor]]:
    """Model → its enabled monitors, oldest first."""
    rows = session.scalars(
        select(Monitor).where(Monitor.model_id.in_(model_ids), Monitor.enabled).order_by(Monitor.id)
    )
    found: dict[UUID, list[Monitor]] = {}
    for monitor in rows:
        found.setdefault(monitor.model_id, []).append(monitor)
    return found


def claimed_concepts(session: Session, versions: Iterable[UUID]) -> dict[UUID, set[str]]:
    """Concepts that the features of some versions claim to stand for."""
    rows = session.execute(
        select(Feature.feature_set_version_id, Feature.concept)
        .where(Feature.feature_set_version_id.in_(set(versions)))
        .distinct()
    )
    concepts: dict[UUID, set[str]] = {}
    for version, concept in rows:
        if concept is not None:
            concepts.setdefault(version, set()).add(concept)
    return concepts


def feature_names(session: Session, version: UUID, names: Iterable[str]) -> set[str]:
    """Those of some names that a version's features have."""
    return set(
        session.scalars(
            select(Feature.name).where(
                Feature.feature_set_version_id == version, Feature.name.in_(set(names))
            )
        )
    )


def all_feature_names(session: Session, version: UUID, limit: int) -> list[str]:
    """The first names of a version's features, in order of name."""
    return list(
        session.scalars(
            select(Feature.name)
            .where(Feature.feature_set_version_id == version)
            .order_by(Feature.name)
            .limit(limit)
        )
    )


def _views() -> Select[Monitor, str, Corpus, str, int, str]:
    return (
        select(
            Monitor,
            Model.name,
            Corpus,
            FeatureSet.name,
            FeatureSetVersion.number,
            Dictionary.name,
        )
        .join(Model, Monitor.model_id == Model.id)
        .join(Corpus, Monitor.corpus_id == Corpus.id)
        .outerjoin(FeatureSetVersion, Monitor.feature_set_version_id == FeatureSetVersion.id)
        .outerjoin(FeatureSet, FeatureSetVersion.feature_set_id == FeatureSet.id)
        .outerjoin(Dictionary, Monitor.dictionary_id == Dictionary.id)
    )
