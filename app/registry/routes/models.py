"""/v1/models and their aliases."""

from uuid import UUID

from fastapi import APIRouter, Response
from sqlalchemy.orm import Session

from app.access.routes import Post
from app.access.service import Answer
from app.core.dependencies import AppDatabase
from app.core.etags import etag
from app.core.paging import Cursor, Limit, decode_cursor, make_page
from app.core.preconditions import IfMatch
from app.core.problems import PROBLEM_RESPONSES
from app.core.references import referred_to_by
from app.core.schemas import Page
from app.registry.paths import AliasName, ModelName
from app.registry.repository import models as repository
from app.registry.schemas.models import AliasOut, AliasPut, ModelCreate, ModelOut
from app.registry.service import models as service
from app.registry.tables import Alias

router = APIRouter(prefix="/models", tags=["models"], responses=PROBLEM_RESPONSES)


@router.post("", status_code=201, response_model=ModelOut, responses={200: {"model": ModelOut}})
def register_model(body: ModelCreate, post: Post) -> Response:
    """Register a line of checkpoints."""

    def work(session: Session) -> Answer:
        model, created = service.register_model(session, body)
        headers = {"Location": f"/v1/models/{model.name}"}
        return Answer(201 if created else 200, ModelOut.model_validate(model), headers)

    return post.answer(work)


@router.get("")
def list_models(database: AppDatabase, cursor: Cursor = None, limit: Limit = 50) -> Page[ModelOut]:
    """Models, newest first."""
    after = decode_cursor(cursor, UUID)
    with database.unit_of_work() as session:
        rows = repository.list_models(session, after, limit)
    page, following = make_page(rows, limit, lambda model: model.id)
    return Page(items=[ModelOut.model_validate(row) for row in page], next_cursor=following)


@router.get("/{model}")
def get_model(model: ModelName, database: AppDatabase) -> ModelOut:
    """A model."""
    with database.unit_of_work() as session:
        return ModelOut.model_validate(service.find_model(session, model))


@router.get("/{model}/aliases")
def list_aliases(
    model: ModelName, database: AppDatabase, cursor: Cursor = None, limit: Limit = 50
) -> Page[AliasOut]:
    """Aliases of a model, newest first."""
    after = decode_cursor(cursor, UUID)
    with database.unit_of_work() as session:
        found = service.find_model(session, model)
        rows = repository.list_aliases(session, found.id, after, limit)
    page, following = make_page(rows, limit, lambda row: row[0].id)
    items = [_present(model, alias, checkpoint) for alias, checkpoint in page]
    return Page(items=items, next_cursor=following)


@router.get("/{model}/aliases/{alias}")
def get_alias(
    model: ModelName, alias: AliasName, database: AppDatabase, response: Response
) -> AliasOut:
    """Where an alias points, with its `ETag`."""
    with database.unit_of_work() as session:
        found = service.find_alias(session, service.find_model(session, model), alias)
        names = repository.checkpoint_names(session, [found.checkpoint_id])
    response.headers["ETag"] = etag(found.version)
    return _present(model, found, names[found.checkpoint_id])


@router.put("/{model}/aliases/{alias}", responses={201: {"model": AliasOut}})
def put_alias(
    model: ModelName,
    alias: AliasName,
    body: AliasPut,
    database: AppDatabase,
    response: Response,
    if_match: IfMatch = None,
) -> AliasOut:
    """Make an alias, or move it: moving needs `If-Match` with the `ETag` that was read."""
    with database.unit_of_work() as session:
        found = service.find_model(session, model)
        with referred_to_by("checkpoint"):
            checkpoint = service.find_checkpoint(session, found, body.checkpoint)
        row, created = service.put_alias(session, found, alias, checkpoint, if_match)
    response.status_code = 201 if created else 200
    response.headers["ETag"] = etag(row.version)
    return _present(model, row, checkpoint.name)


@router.delete("/{model}/aliases/{alias}", status_code=204)
def delete_alias(
    model: ModelName, alias: AliasName, database: AppDatabase, if_match: IfMatch = None
) -> None:
    """Remove an alias; `If-Match` is required. Monitors that follow it cannot start without it."""
    with database.unit_of_work() as session:
        service.delete_alias(session, service.find_model(session, model), alias, if_match)


def _present(model: str, alias: Alias, checkpoint: str) -> AliasOut:
    return AliasOut(
        model=model,
        name=alias.name,
        checkpoint=checkpoint,
        version=alias.version,
        updated_at=alias.updated_at,
    )
