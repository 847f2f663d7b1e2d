"""SQL of feature sets, their versions and their features."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from app.core.ids import new_id
from app.core.rows import insert_if_absent, newest_first
from app.registry.tables import Feature, FeatureSet, FeatureSetVersion


def insert_feature_set(session: Session, name: str, description: str | None) -> FeatureSet | None:
    """A new set without versions, or None when the name is taken."""
    return insert_if_absent(session, FeatureSet, ["name"], name=name, description=description)


def get_feature_set(session: Session, name: str, *, lock: bool = False) -> FeatureSet | None:
    """A set by name; locked, its versions are published one after another."""
    statement = select(FeatureSet).where(FeatureSet.name == name)
    if lock:
        statement = statement.with_for_update(key_share=True)
    return session.scalars(statement).one_or_none()


def list_feature_sets(
    session: Session, after: UUID | None, limit: int
) -> Sequence[tuple[FeatureSet, int]]:
    """Sets with their latest version's number, newest first, one more than `limit`."""
    latest = (
        select(func.max(FeatureSetVersion.number))
        .where(FeatureSetVersion.feature_set_id == FeatureSet.id)
        .scalar_subquery()
    )
    rows = session.execute(
        newest_first(select(FeatureSet, func.coalesce(latest, 0)), FeatureSet.id, after, limit)
    ).all()
    return [(feature_set, number) for feature_set, number in rows]


def latest_number(session: Session, feature_set_id: UUID) -> int:
    """The number of a set's latest version; 0 before the first."""
    number = session.scalar(
        select(func.max(FeatureSetVersion.number)).where(
            FeatureSetVersion.feature_set_id == feature_set_id
        )
    )
    return number or 0


def get_version(session: Session, feature_set_id: UUID, number: int) -> FeatureSetVersion | None:
    """A version by its number."""
    return session.scalars(
        select(FeatureSetVersion).where(
            FeatureSetVersion.feature_set_id == feature_set_id, FeatureSetVersion.number == number
        )
    ).one_or_none()


def find_version(session: Session, feature_set_id: UUID, digest: str) -> FeatureSetVersion | None:
    """The version with this content."""
    return session.scalars(
        select(FeatureSetVersion).where(
            FeatureSetVersion.feature_set_id == feature_set_id, FeatureSetVersion.digest == digest
        )
    ).one_or_none()


def list_versions(
    session: Session, feature_set_id: UUID, after: UUID | None, limit: int
) -> Sequence[FeatureSetVersion]:
    """Versions of a set, newest first, one more than `limit`."""
    statement = select(FeatureSetVersion).where(FeatureSetVersion.feature_set_id == feature_set_id)
    return session.scalars(newest_first(statement, FeatureSetVersion.id, after, limit)).all()


def insert_version(
    session: Session,
    feature_set_id: UUID,
    number: int,
    digest: str,
    features: Sequence[dict[str, Any]],
) -> FeatureSetVersion:
    """A new version with its features, each a row's values without version and position."""
    version = FeatureSetVersion(
        id=new_id(),
        feature_set_id=feature_set_id,
        number=number,
        digest=digest,
        features_count=len(features),
    )
    session.add(version)
    session.flush()
    session.execute(
        insert(Feature),
        [
            {**values, "feature_set_version_id": version.id, "position": position}
            for position, values in enumerate(features)
        ],
    )
    session.refresh(version)
    return version


def feature_summaries(session: Session, version_id: UUID) -> Sequence[Any]:
    """id, name, kind, concept and definition digest of a version's features, in order."""
    return session.execute(
        select(Feature.id, Feature.name, Feature.kind, Feature.concept, Feature.definition_digest)
        .where(Feature.feature_set_version_id == version_id)
        .order_by(Feature.position)
    ).all()


def list_features(
    session: Session, version_id: UUID, after: int | None, limit: int
) -> Sequence[Feature]:
    """Features of a version with definitions, in order, one more than `limit`."""
    statement = select(Feature).where(Feature.feature_set_version_id == version_id)
    if after is not None:
        statement = statement.where(Feature.position > after)
    return session.scalars(statement.order_by(Feature.position).limit(limit + 1)).all()


def get_feature(session: Session, feature_id: UUID) -> tuple[Feature, int, str] | None:
    """A feature by id, with its version's number and its set's name."""
    row = session.execute(
        select(Feature, FeatureSetVersion.number, FeatureSet.name)
        .join(FeatureSetVersion, Feature.feature_set_version_id == FeatureSetVersion.id)
        .join(FeatureSet, FeatureSetVersion.feature_set_id == FeatureSet.id)
        .where(Feature.id == feature_id)
    ).one_or_none()
    return (row[0], row[1], row[2]) if row is not None else None
