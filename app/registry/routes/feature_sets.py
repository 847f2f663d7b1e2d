"""/v1/feature-sets, and single features by id."""

from uuid import UUID

from fastapi import APIRouter, Response
from sqlalchemy.orm import Session

from app.access.routes import Post
from app.access.service import Answer
from app.core.dependencies import AppDatabase
from app.core.paging import Cursor, Limit, decode_cursor, make_page
from app.core.problems import PROBLEM_RESPONSES
from app.core.schemas import Page
from app.registry.paths import FeatureSetName, VersionNumber
from app.registry.repository import feature_sets as repository
from app.registry.schemas.feature_sets import (
    FeatureOut,
    FeatureSetCreate,
    FeatureSetOut,
    FeatureSetVersionOut,
    FeatureSummary,
    VersionOut,
)
from app.registry.service import feature_sets as service
from app.registry.tables import Feature, FeatureSetVersion

router = APIRouter(tags=["feature sets"], responses=PROBLEM_RESPONSES)


@router.post(
    "/feature-sets",
    status_code=201,
    response_model=FeatureSetVersionOut,
    responses={200: {"model": FeatureSetVersionOut, "description": "This version exists already"}},
)
def publish_feature_set(body: FeatureSetCreate, post: Post) -> Response:
    """Publish a version of a feature set; the same features again are the same version."""

    def work(session: Session) -> Answer:
        feature_set, version, created = service.publish(session, body)
        out = _version(session, feature_set.name, version)
        headers = {"Location": f"/v1/feature-sets/{feature_set.name}/versions/{version.number}"}
        return Answer(201 if created else 200, out, headers)

    return post.answer(work)


@router.get("/feature-sets")
def list_feature_sets(
    database: AppDatabase, cursor: Cursor = None, limit: Limit = 50
) -> Page[FeatureSetOut]:
    """Feature sets, newest first."""
    after = decode_cursor(cursor, UUID)
    with database.unit_of_work() as session:
        rows = repository.list_feature_sets(session, after, limit)
    page, following = make_page(rows, limit, lambda row: row[0].id)
    items = [
        FeatureSetOut(
            id=feature_set.id,
            name=feature_set.name,
            description=feature_set.description,
            latest_version=number,
            created_at=feature_set.created_at,
        )
        for feature_set, number in page
    ]
    return Page(items=items, next_cursor=following)


@router.get("/feature-sets/{feature_set}")
def get_feature_set(feature_set: FeatureSetName, database: AppDatabase) -> FeatureSetOut:
    """A feature set, with its latest version's number."""
    with database.unit_of_work() as session:
        row = service.find_feature_set(session, feature_set)
        number = repository.latest_number(session, row.id)
    return FeatureSetOut(
        id=row.id,
        name=row.name,
        description=row.description,
        latest_version=number,
        created_at=row.created_at,
    )


@router.get("/feature-sets/{feature_set}/versions")
def list_versions(
    feature_set: FeatureSetName, database: AppDatabase, cursor: Cursor = None, limit: Limit = 50
) -> Page[VersionOut]:
    """Versions of a set, newest first."""
    after = decode_cursor(cursor, UUID)
    with database.unit_of_work() as session:
        row = service.find_feature_set(session, feature_set)
        rows = repository.list_versions(session, row.id, after, limit)
    page, following = make_page(rows, limit, lambda version: version.id)
    items = [
        VersionOut(
            id=version.id,
            feature_set=feature_set,
            version=version.number,
            digest=version.digest,
            features_count=version.features_count,
            created_at=version.created_at,
        )
        for version in page
    ]
    return Page(items=items, next_cursor=following)


@router.get("/feature-sets/{feature_set}/versions/{version}")
def get_version(
    feature_set: FeatureSetName, version: VersionNumber, database: AppDatabase
) -> FeatureSetVersionOut:
    """A version, with its features but without their vectors."""
    with database.unit_of_work() as session:
        _, row = service.find_version(session, feature_set, version)
        return _version(session, feature_set, row)


@router.get("/feature-sets/{feature_set}/versions/{version}/features")
def list_features(
    feature_set: FeatureSetName,
    version: VersionNumber,
    database: AppDatabase,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[FeatureOut]:
    """Features of a version with their full definitions, in their order."""
    after = decode_cursor(cursor, int)
    with database.unit_of_work() as session:
        _, row = service.find_version(session, feature_set, version)
        rows = repository.list_features(session, row.id, after, limit)
    page, following = make_page(rows, limit, lambda feature: feature.position)
    items = [_feature(feature, feature_set, version) for feature in page]
    return Page(items=items, next_cursor=following)


@router.get("/features/{feature}")
def get_feature(feature: UUID, database: AppDatabase) -> FeatureOut:
    """A feature with its full definition."""
    with database.unit_of_work() as session:
        row, number, feature_set = service.find_feature(session, feature)
    return _feature(row, feature_set, number)


def _version(session: Session, name: str, version: FeatureSetVersion) -> FeatureSetVersionOut:
    features = repository.feature_summaries(session, version.id)
    return FeatureSetVersionOut(
        id=version.id,
        feature_set=name,
        version=version.number,
        digest=version.digest,
        features_count=version.features_count,
        features=[FeatureSummary.model_validate(row) for row in features],
        created_at=version.created_at,
    )


def _feature(feature: Feature, feature_set: str, version: int) -> FeatureOut:
    return FeatureOut(
        id=feature.id,
        feature_set=feature_set,
        version=version,
        name=feature.name,
        kind=feature.kind,
        concept=feature.concept,
        definition=feature.definition,
        definition_digest=feature.definition_digest,
    )
