"""All pages, put into the application."""

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from app.web import api_docs, sign_in, static_files
from app.web.errors import install_page_errors
from app.web.routes import (
    alerts,
    audit,
    corpora,
    dictionaries,
    evaluations,
    features,
    home,
    line,
    models,
    repairs,
)
from app.web.session import SignedIn
from app.web.signing import Signer

ROUTERS: tuple[APIRouter, ...] = (
    sign_in.router,
    api_docs.router,
    home.router,
    models.router,
    line.router,
    evaluations.router,
    features.router,
    corpora.router,
    dictionaries.router,
    alerts.router,
    repairs.router,
    audit.router,
)


def install_pages(app: FastAPI) -> None:
    """Add the pages, their sessions and their errors, after the API's own handlers of errors."""
    app.state.signer = Signer(app.state.settings)
    for router in ROUTERS:
        app.include_router(router)
    app.include_router(static_files.router)
    app.add_middleware(SignedIn, authenticator=app.state.authenticator, signer=app.state.signer)
    install_page_errors(app, page_templates())


def page_templates() -> frozenset[str]:
    """Templates of the pages' routes: `/models/{model}`."""
    return frozenset(
        route.path for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)
    )
