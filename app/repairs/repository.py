"""SQL of repairs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, cast, func, select
from sqlalchemy.dialects.postgresql import JSONB, JSONPATH
from sqlalchemy.orm import Session, aliased, defer, undefer

from app.core.ids import new_id
from app.core.rows import newest_first
from app.evaluations.tables import Evaluation
from app.monitors.tables import Monitor
from app.registry.tables import Checkpoint, FeatureSet, FeatureSetVersion, Model
from app.repairs.tables import Repair


@dataclass(frozen=True)
class RepairView:
    """A repair with the names of what it refers to.

    Attributes:
        features: names of the changed features, and
        diagnoses: theirs, in the same order.
    """

    repair: Repair
    monitor: str
    model: str
    checkpoint: str
    feature_set: str | None
    base_version: int | None
    published_set: str | None
    published_version: int | None
    features: list[str]
    diagnoses: list[str]


def lock_repair(session: Session, repair_id: UUID) -> Repair | None:
    """A repair with all its columns; decisions on it are made one after another."""
    return session.scalars(
        select(Repair)
        .where(Repair.id == repair_id)
        .options(undefer(Repair.features))
        .with_for_update(key_share=True)
    ).one_or_none()


def lock_proposal(session: Session, evaluation_id: UUID, comparison: str) -> Repair | None:
    """The repair of a comparison, likewise."""
    return session.scalars(
        select(Repair)
        .where(Repair.evaluation_id == evaluation_id, Repair.comparison == comparison)
        .options(undefer(Repair.features))
        .with_for_update(key_share=True)
    ).one_or_none()


def insert_repair(session: Session, **values: Any) -> Repair:
    """A new proposal."""
    repair = Repair(id=new_id(), **values)
    session.add(repair)
    session.flush()
    return repair


def delete_repair(session: Session, repair: Repair) -> None:
    """Remove a proposal."""
    session.delete(repair)
    session.flush()


def get_view(session: Session, repair_id: UUID) -> RepairView | None:
    """A repair with its names, without its definitions and evidence."""
    row = session.execute(_views().where(Repair.id == repair_id)).one_or_none()
    return RepairView(*row) if row is not None else None


def list_views(
    session: Session,
    *,
    monitor: str | None,
    evaluation: UUID | None,
    state: str | None,
    after: UUID | None,
    limit: int,
) -> Sequence[RepairView]:
    """Repairs, newest first, one more than `limit`."""
    statement = _views()
    if monitor is not None:
        statement = statement.where(Monitor.name == monitor)
    if evaluation is not None:
        statement = statement.where(Repair.evaluation_id == evaluation)
    if state is not None:
        statement = statement.where(Repair.state == state)
    rows = session.execute(newest_first(statement, Repair.id, after, limit))
    return [RepairView(*row) for row in rows]


def content(session: Session, repair_id: UUID) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A repair's changes and its whole proposed feature list."""
    changes, features = session.execute(
        select(Repair.changes, Repair.features).where(Repair.id == repair_id)
    ).one()
    return changes, features


def feature_set_name(session: Session, version_id: UUID) -> str:
    """The name of a version's set."""
    return session.scalars(
        select(FeatureSet.name)
        .join(FeatureSetVersion, FeatureSetVersion.feature_set_id == FeatureSet.id)
        .where(FeatureSetVersion.id == version_id)
    ).one()


def model_name(session: Session, repair: Repair) -> str:
    """The name of the model that a repair is about."""
    return session.scalars(
        select(Model.name)
        .join(Monitor, Monitor.model_id == Model.id)
        .where(Monitor.id == repair.monitor_id)
    ).one()


def _views() -> Select[*tuple[Any, ...]]:
    base, published = aliased(FeatureSetVersion), aliased(FeatureSetVersion)
    base_set, published_set = aliased(FeatureSet), aliased(FeatureSet)
    return (
        select(
            Repair,
            Monitor.name,
            Model.name,
            Checkpoint.name,
            base_set.name,
            base.number,
            published_set.name,
            published.number,
            _each("feature"),
            _each("diagnosis"),
        )
        .join(Monitor, Repair.monitor_id == Monitor.id)
        .join(Model, Monitor.model_id == Model.id)
        .join(Evaluation, Repair.evaluation_id == Evaluation.id)
        .join(Checkpoint, Evaluation.checkpoint_id == Checkpoint.id)
        .outerjoin(base, Repair.base_feature_set_version_id == base.id)
        .outerjoin(base_set, base.feature_set_id == base_set.id)
        .outerjoin(published, Repair.feature_set_version_id == published.id)
        .outerjoin(published_set, published.feature_set_id == published_set.id)
        # Definitions and evidence may be megabytes a repair.
        .options(defer(Repair.changes), defer(Repair.features))
    )


def _each(member: str) -> ColumnElement[list[str]]:
    """One member of every change, without reading the rest."""
    path = cast(f"$[*].{member}", JSONPATH)
    return func.jsonb_path_query_array(Repair.changes, path, type_=JSONB())
