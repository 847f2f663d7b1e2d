"""/corpora: the documents that features are measured on, with their labels."""

import re
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.core.dependencies import AppArtifacts
from app.core.errors import NotFoundError
from app.core.paging import Cursor, Limit, decode_cursor, make_page
from app.core.schemas import StorableText
from app.monitors.tables import Monitor
from app.registry.repository import corpora as repository
from app.registry.service.corpora import find_corpus
from app.registry.stored import DocumentsError
from app.registry.tables import Corpus, Model
from app.web.reading.documents import Shown, read_documents
from app.web.rendering import address_with, page, page_links
from app.web.session import PageSession

router = APIRouter(prefix="/corpora", include_in_schema=False)

PAGE, MANY_CHARACTERS, ALL_CHARACTERS = 20, 1500, 200_000
_DIGEST = re.compile("[0-9a-f]{64}")
_Corpus = Annotated[StorableText, Path(max_length=200)]
_Number = Annotated[int, Path(ge=1, le=10**9)]


@router.get("")
def list_corpora(
    request: Request, session: PageSession, cursor: Cursor = None, limit: Limit = 50
) -> Response:
    """Corpora, newest first."""
    rows = repository.list_corpora(session, None, decode_cursor(cursor, UUID), limit)
    corpora, following = make_page(rows, limit, lambda corpus: corpus.id)
    return page(
        request,
        "corpora.html.j2",
        title="Corpora",
        corpora=corpora,
        **page_links(request, cursor, following),
    )


@router.get("/{corpus}")
def show_corpus(
    request: Request,
    session: PageSession,
    artifacts: AppArtifacts,
    corpus: _Corpus,
    start: Annotated[int, Query(ge=1, le=10**9)] = 1,
) -> Response:
    """A corpus by name or digest, with twenty of its documents."""
    found = _find(session, corpus)
    documents, trouble = _documents(artifacts, found, start, PAGE, MANY_CHARACTERS)
    following = start + PAGE
    return page(
        request,
        "corpus.html.j2",
        title=found.name,
        corpus=found,
        monitors=_monitors(session, found),
        documents=documents,
        trouble=trouble,
        start=start,
        first_page=address_with(request, start=None) if start > 1 else None,
        next_page=address_with(request, start=str(following))
        if following <= found.documents
        else None,
    )


@router.get("/{corpus}/documents/{number}")
def show_document(
    request: Request,
    session: PageSession,
    artifacts: AppArtifacts,
    corpus: _Corpus,
    number: _Number,
) -> Response:
    """One document as a whole."""
    found = _find(session, corpus)
    if number > found.documents:
        raise NotFoundError(
            f"the corpus {found.name!r} has {found.documents} documents; none has number {number}",
            code="unknown_document",
            field="number",
            value=number,
        )
    documents, trouble = _documents(artifacts, found, number, 1, ALL_CHARACTERS)
    return page(
        request,
        "document.html.j2",
        title=f"Document {number}",
        corpus=found,
        number=number,
        documents=documents,
        trouble=trouble,
    )


def _documents(
    artifacts: AppArtifacts, corpus: Corpus, start: int, count: int, characters: int
) -> tuple[list[Shown], str]:
    try:
        return read_documents(artifacts, corpus, start - 1, count, characters), ""
    except DocumentsError as error:
        return [], error.detail


def _find(session: Session, corpus: str) -> Corpus:
    if _DIGEST.fullmatch(corpus):
        found = repository.list_corpora(session, corpus, None, 1)
        if found:
            return found[0]
    return find_corpus(session, corpus)


def _monitors(session: Session, corpus: Corpus) -> list[tuple[str, str]]:
    """Monitors that measure on the corpus, each with its model."""
    rows = session.execute(
        select(Monitor.name, Model.name)
        .join(Model, Model.id == Monitor.model_id)
        .where(Monitor.corpus_id == corpus.id)
        .order_by(Monitor.name)
        .limit(50)
    )
    return [(monitor, model) for monitor, model in rows]
