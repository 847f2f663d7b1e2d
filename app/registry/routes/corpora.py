"""/v1/corpora: JSON Lines as the body, or JSON."""

import json
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from sqlalchemy.orm import Session

from app.access.routes import Post, RawBody
from app.access.service import Answer
from app.core.artifact_locks import hold
from app.core.dependencies import AppArtifacts, AppDatabase, AppSettings
from app.core.errors import InvalidInputError, MalformedJsonError, UnsupportedMediaTypeError
from app.core.paging import Cursor, Limit, decode_cursor, make_page
from app.core.problems import PROBLEM_RESPONSES
from app.core.schemas import Page, StorableText
from app.registry.definitions import NAME_PATTERN
from app.registry.documents import Document, parse_jsonl, parse_objects
from app.registry.paths import CorpusName
from app.registry.perturbations import PERTURBATIONS, Perturbation, with_variants
from app.registry.repository import corpora as repository
from app.registry.schemas.corpora import CorpusCreate, CorpusOut
from app.registry.service import corpora as service
from app.registry.service.sources import read_local_file
from app.settings import Settings

router = APIRouter(prefix="/corpora", tags=["corpora"], responses=PROBLEM_RESPONSES)

JSON_LINES = ("application/jsonl", "application/x-ndjson", "application/x-jsonlines")
_LINES_SCHEMA = {
    "schema": {"type": "string", "description": "One document a line"},
    "example": '{"id": "d1", "text": "Call me at 555-0100.", "labels": {"phone": [[11, 19]]}}\n',
}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": CorpusCreate.model_json_schema(),
                "example": CorpusCreate.model_config["json_schema_extra"]["examples"][0],  # type: ignore[index]
            },
            **dict.fromkeys(JSON_LINES, _LINES_SCHEMA),
        },
    }
}


@router.post(
    "",
    status_code=201,
    response_model=CorpusOut,
    responses={200: {"model": CorpusOut}},
    openapi_extra=_BODY,
)
def register_corpus(
    request: Request,
    body: RawBody,
    settings: AppSettings,
    artifacts: AppArtifacts,
    post: Post,
    name: Annotated[
        str | None, Query(pattern=NAME_PATTERN, description="For a JSON Lines body")
    ] = None,
    description: Annotated[
        StorableText | None, Query(max_length=2000, description="For a JSON Lines body")
    ] = None,
    perturbations: Annotated[
        list[Perturbation],
        Query(max_length=len(PERTURBATIONS), description="For a JSON Lines body"),
    ] = [],  # noqa: B006 - FastAPI copies
) -> Response:
    """Register a probe corpus: its documents never change, and are found again by digest."""
    if (replayed := post.replay()) is not None:
        return replayed
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type in JSON_LINES:
        if name is None:
            raise InvalidInputError(
                "a JSON Lines body needs the corpus' name in the query: ?name=…", field="name"
            )
        documents = parse_jsonl(body)
    elif media_type == "application/json":
        asked = _parse_json(body)
        name, description, perturbations = asked.name, asked.description, asked.perturbations
        documents = _documents(asked, settings)
    else:
        raise UnsupportedMediaTypeError(
            f"Content-Type is {media_type or '(none)'}; send {JSON_LINES[0]} or application/json",
            field="Content-Type",
            value=media_type,
        )
    documents = with_variants(documents, perturbations)
    stored = service.store_documents(artifacts, documents)

    def work(session: Session) -> Answer:
        # The same documents may have lain there for long with no corpus, and be collected now.
        hold(session, [stored.artifact_key])
        if not artifacts.exists(stored.artifact_key):
            service.store_documents(artifacts, documents)
        corpus, created = service.register_corpus(session, name, description, stored)
        headers = {"Location": f"/v1/corpora/{corpus.name}"}
        return Answer(201 if created else 200, CorpusOut.model_validate(corpus), headers)

    return post.answer(work)


@router.get("")
def list_corpora(
    database: AppDatabase,
    digest: Annotated[str | None, Query(pattern="^[0-9a-f]{64}$")] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[CorpusOut]:
    """Corpora, newest first."""
    after = decode_cursor(cursor, UUID)
    with database.unit_of_work() as session:
        rows = repository.list_corpora(session, digest, after, limit)
    page, following = make_page(rows, limit, lambda corpus: corpus.id)
    return Page(items=[CorpusOut.model_validate(row) for row in page], next_cursor=following)


@router.get("/{corpus}")
def get_corpus(corpus: CorpusName, database: AppDatabase) -> CorpusOut:
    """A corpus."""
    with database.unit_of_work() as session:
        return CorpusOut.model_validate(service.find_corpus(session, corpus))


def _parse_json(body: bytes) -> CorpusCreate:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MalformedJsonError(f"the body is not JSON: {error}") from error
    try:
        return CorpusCreate.model_validate(value)
    except ValidationError as error:
        faults = [{**fault, "loc": ("body", *fault["loc"])} for fault in error.errors()]
        raise RequestValidationError(faults) from error


def _documents(asked: CorpusCreate, settings: Settings) -> list[Document]:
    if asked.uri is not None:
        return parse_jsonl(read_local_file(asked.uri, settings.allowed_roots))
    return parse_objects(asked.documents or [])
