"""The first page: the state of all models."""

from collections import Counter

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.evaluations.repository import list_views
from app.registry.repository import models as repository
from app.web.rendering import page
from app.web.session import PageSession
from app.web.standing import most_urgent_first, standings

CARDS = 24
"""Models on the first page; the list of models has all."""
OPEN = 10

router = APIRouter(include_in_schema=False)


@router.get("/")
def show_home(request: Request, session: PageSession) -> Response:
    """How every model stands, those that somebody should look at first."""
    models = repository.list_models(session, None, CARDS)
    found = most_urgent_first(standings(session, models[:CARDS]))
    work = [
        view
        for state in ("running", "queued")
        for view in list_views(
            session,
            model=None,
            checkpoint=None,
            monitor=None,
            state=state,
            after=None,
            limit=OPEN,
        )
    ]
    return page(
        request,
        "home.html.j2",
        title="Overview",
        standings=found,
        outcomes=Counter(one.outcome for one in found),
        pages=sum(one.pages for one in found),
        unresolved=sum(one.unresolved for one in found),
        repairs=sum(one.repairs for one in found),
        more_models=len(models) > CARDS,
        work=work[:OPEN],
        more_work=len(work) > OPEN,
    )
