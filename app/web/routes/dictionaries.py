"""/dictionaries: how well they still describe the activations, checkpoint by checkpoint."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from app.core.paging import Cursor, Limit, decode_cursor, make_page
from app.core.schemas import StorableText
from app.registry.repository import dictionaries as repository
from app.registry.service.dictionaries import find_dictionary
from app.web.charts import draw_health
from app.web.reading import dictionaries as reading
from app.web.rendering import page, page_links
from app.web.session import PageSession

router = APIRouter(prefix="/dictionaries", include_in_schema=False)

LATENTS, READERS = 20, 50


@router.get("")
def list_dictionaries(
    request: Request, session: PageSession, cursor: Cursor = None, limit: Limit = 50
) -> Response:
    """Dictionaries, newest first."""
    rows = repository.list_dictionaries(session, decode_cursor(cursor, UUID), limit)
    dictionaries, following = make_page(rows, limit, lambda dictionary: dictionary.id)
    return page(
        request,
        "dictionaries.html.j2",
        title="Dictionaries",
        dictionaries=dictionaries,
        **page_links(request, cursor, following),
    )


@router.get("/{dictionary}")
def show_dictionary(
    request: Request,
    session: PageSession,
    dictionary: Annotated[StorableText, Path(max_length=200)],
    cursor: Cursor = None,
    limit: Limit = 25,
) -> Response:
    """A dictionary's health over checkpoints, its drifted latents, and what reads it."""
    found = find_dictionary(session, dictionary)
    rows = reading.health_lines(session, found.name, decode_cursor(cursor, UUID), limit)
    health, following = make_page(rows, limit, lambda line: line.where.evaluation.id)
    readers = reading.readers(session, found, READERS + 1)
    return page(
        request,
        "dictionary.html.j2",
        title=found.name,
        dictionary=found,
        health=health,
        picture=draw_health(health),
        latents=reading.newest_latents(session, found, LATENTS),
        readers=readers[:READERS],
        more_readers=len(readers) > READERS,
        **page_links(request, cursor, following),
    )
