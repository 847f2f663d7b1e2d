"""/models: the lines of checkpoints that are watched, and the gate of each checkpoint."""

from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.core.paging import Cursor, Limit, decode_cursor, make_page
from app.monitors.repository import list_monitors
from app.registry.paths import CheckpointName, ModelName
from app.registry.repository import models as repository
from app.registry.service import models as service
from app.verdicts.service import gate_of
from app.web.rendering import page, page_links
from app.web.repository import asked_of, newest_of_monitors
from app.web.session import PageSession
from app.web.standing import VERDICTS, counts_with_rows, standings

ALIASES, MONITORS = 50, 100

router = APIRouter(prefix="/models", include_in_schema=False)


@router.get("")
def list_models(
    request: Request, session: PageSession, cursor: Cursor = None, limit: Limit = 25
) -> Response:
    """Models, newest first, with how each stands."""
    rows = repository.list_models(session, decode_cursor(cursor, UUID), limit)
    models, following = make_page(rows, limit, lambda model: model.id)
    return page(
        request,
        "models.html.j2",
        title="Models",
        standings=standings(session, models),
        **page_links(request, cursor, following),
    )


@router.get("/{model}")
def show_model(
    request: Request,
    model: ModelName,
    session: PageSession,
    cursor: Cursor = None,
    limit: Limit = 25,
) -> Response:
    """A model: how its newest checkpoint stands, its monitors, aliases and checkpoints."""
    found = service.find_model(session, model)
    (standing,) = standings(session, [found])
    monitors = list_monitors(session, model=model, enabled=None, after=None, limit=MONITORS)
    newest = newest_of_monitors(session, [view.monitor.id for view in monitors])
    rows = repository.list_checkpoints(session, found.id, decode_cursor(cursor, UUID), limit)
    checkpoints, following = make_page(rows, limit, lambda row: row[0].id)
    asked = asked_of(session, [checkpoint.id for checkpoint, _ in checkpoints])
    every = {one.id: one.comparisons for each in asked.values() for one in each}
    every |= {one.id: (one.summary or {}).get("comparisons") or {} for one in newest.values()}
    names = repository.checkpoint_names(session, [one.checkpoint_id for one in newest.values()])
    return page(
        request,
        "model.html.j2",
        title=model,
        model=found,
        standing=standing,
        gate=standing.gate,
        monitors=monitors[:MONITORS],
        newest=newest,
        names=names,
        aliases=repository.list_aliases(session, found.id, None, ALIASES)[:ALIASES],
        checkpoints=checkpoints,
        asked=asked,
        counts=counts_with_rows(session, every),
        order=VERDICTS,
        **page_links(request, cursor, following),
    )


@router.get("/{model}/checkpoints/{checkpoint}")
def show_checkpoint(
    request: Request, model: ModelName, checkpoint: CheckpointName, session: PageSession
) -> Response:
    """May this checkpoint go out, and why; what each monitor says of it."""
    found = service.find_model(session, model)
    row, parent = service.find_checkpoint_with_parent(session, found, checkpoint)
    aliases = repository.list_aliases(session, found.id, None, ALIASES)
    return page(
        request,
        "checkpoint.html.j2",
        title=f"Checkpoint {checkpoint}",
        model=found,
        checkpoint=row,
        parent=parent,
        aliases=[alias.name for alias, name in aliases if name == checkpoint],
        gate=gate_of(session, found, row),
        order=VERDICTS,
    )
