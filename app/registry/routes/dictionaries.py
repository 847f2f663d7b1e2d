"""/v1/dictionaries."""

from uuid import UUID

from fastapi import APIRouter, Response
from sqlalchemy.orm import Session

from app.access.routes import Post
from app.access.service import Answer
from app.core.dependencies import AppDatabase, AppSettings
from app.core.paging import Cursor, Limit, decode_cursor, make_page
from app.core.problems import PROBLEM_RESPONSES
from app.core.schemas import Page
from app.registry.paths import DictionaryName
from app.registry.repository import dictionaries as repository
from app.registry.schemas.dictionaries import DictionaryCreate, DictionaryOut
from app.registry.service import dictionaries as service

router = APIRouter(prefix="/dictionaries", tags=["dictionaries"], responses=PROBLEM_RESPONSES)


@router.post(
    "", status_code=201, response_model=DictionaryOut, responses={200: {"model": DictionaryOut}}
)
def register_dictionary(body: DictionaryCreate, settings: AppSettings, post: Post) -> Response:
    """Register an SAE or transcoder in SAELens format."""
    if (replayed := post.replay()) is not None:
        return replayed
    facts = service.inspect(body, settings)

    def work(session: Session) -> Answer:
        dictionary, created = service.register_dictionary(session, body, facts)
        headers = {"Location": f"/v1/dictionaries/{dictionary.name}"}
        return Answer(201 if created else 200, DictionaryOut.model_validate(dictionary), headers)

    return post.answer(work)


@router.get("")
def list_dictionaries(
    database: AppDatabase, cursor: Cursor = None, limit: Limit = 50
) -> Page[DictionaryOut]:
    """Dictionaries, newest first."""
    after = decode_cursor(cursor, UUID)
    with database.unit_of_work() as session:
        rows = repository.list_dictionaries(session, after, limit)
    page, following = make_page(rows, limit, lambda dictionary: dictionary.id)
    return Page(items=[DictionaryOut.model_validate(row) for row in page], next_cursor=following)


@router.get("/{dictionary}")
def get_dictionary(dictionary: DictionaryName, database: AppDatabase) -> DictionaryOut:
    """A dictionary."""
    with database.unit_of_work() as session:
        return DictionaryOut.model_validate(service.find_dictionary(session, dictionary))
