"""/v1/api-keys: for whoever has the scope `admin`."""

from uuid import UUID

from fastapi import APIRouter, Response
from sqlalchemy.orm import Session

from app.access import keys_repository as repository
from app.access import keys_service as service
from app.access.keys_pepper import read_pepper
from app.access.keys_schemas import (
    ApiKeyCreate,
    ApiKeyOut,
    ApiKeyWithSecret,
    KeyRotation,
    Revocation,
)
from app.access.keys_tables import ApiKey
from app.access.routes import Post
from app.access.service import Answer
from app.core.dependencies import AppDatabase, AppSettings
from app.core.paging import Cursor, Limit, decode_cursor, make_page
from app.core.problems import PROBLEM_RESPONSES
from app.core.references import referred_to_by
from app.core.schemas import Page
from app.registry.service.models import find_model

router = APIRouter(prefix="/api-keys", tags=["api keys"], responses=PROBLEM_RESPONSES)


@router.post("", status_code=201, response_model=ApiKeyWithSecret)
def create_key(body: ApiKeyCreate, settings: AppSettings, post: Post) -> Response:
    """Make a key. The answer holds it, this once; what is kept cannot be turned back into it."""

    def work(session: Session) -> Answer:
        for name in body.models or ():
            with referred_to_by("models"):
                find_model(session, name)
        return _answer(*service.create(session, body, read_pepper(settings)), 201)

    return post.answer(work)


@router.get("")
def list_keys(
    database: AppDatabase,
    revoked: bool | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[ApiKeyOut]:
    """Keys, newest first: whose they are, what for, and when they were used last."""
    after = decode_cursor(cursor, UUID)
    with database.unit_of_work() as session:
        rows = repository.list_keys(session, revoked=revoked, after=after, limit=limit)
    page, following = make_page(rows, limit, lambda row: row.id)
    return Page(items=[service.present(row) for row in page], next_cursor=following)


@router.get("/{key}")
def get_key(key: UUID, database: AppDatabase) -> ApiKeyOut:
    """A key, by its id."""
    with database.unit_of_work() as session:
        return service.present(service.find_key(session, key))


@router.post("/{key}:revoke", response_model=ApiKeyOut)
def revoke_key(key: UUID, body: Revocation, post: Post) -> Response:
    """End a key now: no request that is authenticated after the answer has it accepted."""

    def work(session: Session) -> Answer:
        return Answer(200, service.present(service.revoke(session, key, body)))

    return post.answer(work)


@router.post("/{key}:rotate", response_model=ApiKeyWithSecret)
def rotate_key(key: UUID, body: KeyRotation, settings: AppSettings, post: Post) -> Response:
    """A new key in place of the old one, which works for the overlap; shown this once."""

    def work(session: Session) -> Answer:
        return _answer(*service.rotate(session, key, body, read_pepper(settings)), 200)

    return post.answer(work)


def _answer(row: ApiKey, key: str, status: int) -> Answer:
    return Answer(
        status,
        service.present_with_key(row, key),
        # It holds a secret: no cache between may keep it.
        {"Location": f"/v1/api-keys/{row.id}", "Cache-Control": "no-store"},
        kept=service.present_with_key(row, None),
    )
