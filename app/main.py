"""The REST API: `uvicorn app.main:create_app --factory`.

Endpoints are plain functions that run in threads; each commits before it answers.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.types import ASGIApp

from app import health
from app.access import tenancy
from app.access.audit_routes import router as audit
from app.access.authentication import Authenticator
from app.access.guard import Guard
from app.access.keys_routes import router as api_keys
from app.access.openapi import add_security
from app.access.origins import Origins
from app.access.rules import authorize
from app.alerts.routes import router as alerts
from app.core.artifacts import ArtifactStore
from app.core.body_limit import BodyLimit
from app.core.database import Database, make_engine
from app.core.problems import Problem, install_problem_handlers
from app.core.request_metrics import RequestMetrics
from app.core.requests import Requests
from app.core.security_headers import SecurityHeaders
from app.core.waiting import MAX_WAITING, Waiting
from app.evaluations.routes import router as evaluations
from app.exporter.collector import ReadingCollector
from app.exporter.server import Exporter
from app.integrations.mlflow.routes import router as mlflow
from app.monitors.routes import router as monitors
from app.registry.routes.checkpoints import router as checkpoints
from app.registry.routes.corpora import router as corpora
from app.registry.routes.dictionaries import router as dictionaries
from app.registry.routes.feature_sets import router as feature_sets
from app.registry.routes.models import router as models
from app.repairs.routes import router as repairs
from app.reports.routes import router as reports
from app.runbooks.routes import router as runbooks
from app.settings import Settings, get_settings
from app.verdicts.routes import router as verdicts
from app.web.pages import install_pages
from app.webhooks.routes import router as webhooks

# Twice as many threads as there may be callers waiting: the others are never kept out.
THREADS = 2 * MAX_WAITING

_DESCRIPTION = """Finds out, for every new model checkpoint, whether the features you rely on hold.

Errors are `application/problem+json` (RFC 9457). Every POST takes `Idempotency-Key`. Lists are
paged by `cursor`. Every answer bears `X-Request-ID`: the request's own, or a new one. Where keys
are needed, `Authorization: Bearer fd_…` names one; a key that is bound to models sees no others."""


class _Api(FastAPI):
    """FastAPI, with one layer around what it puts outermost itself: its handler of errors."""

    def build_middleware_stack(self) -> ASGIApp:
        """All layers; the requests' names come first, so that each answer and line has them."""
        https = self.state.settings.public_url.startswith("https://")
        answers = SecurityHeaders(super().build_middleware_stack(), https=https)
        return Requests(answers, self.state.metrics)


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application; it connects to nothing until the first request."""
    settings = settings or get_settings()
    app = _Api(
        title="Featuredrift",
        version="1",
        description=_DESCRIPTION,
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        dependencies=[Depends(authorize)],
        # Ours has the route's template, the request's id, and the way on to the workers.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.settings = settings
    app.state.metrics = RequestMetrics()
    app.state.database = Database(make_engine(settings, application="api"))
    app.state.database.on_execute(tenancy.restrict)
    app.state.authenticator = Authenticator(app.state.database, settings)
    app.state.artifacts = ArtifactStore(settings.artifacts)
    app.state.waiting = Waiting(settings.long_poll_max)
    install_problem_handlers(app)
    app.add_middleware(BodyLimit, limit=settings.max_body_bytes, seconds=settings.body_timeout)
    install_pages(app)
    app.add_middleware(Guard, authenticator=app.state.authenticator, origins=Origins(settings))
    v1 = APIRouter(prefix="/v1")
    for router in (
        *(models, checkpoints, corpora, dictionaries, feature_sets),
        *(monitors, evaluations, verdicts, repairs, alerts, webhooks, mlflow, audit),
        *(api_keys, reports),
    ):
        v1.include_router(router)
    app.include_router(v1)
    app.include_router(health.router)
    app.include_router(runbooks)
    if settings.metrics_in_api:
        app.state.exporter = Exporter(settings)
        app.state.metrics.registry.register(ReadingCollector(app.state.exporter.refresher))
    app.add_route("/metrics", app.state.metrics.endpoint, include_in_schema=False)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
    with getattr(app.state, "exporter", nullcontext()):
        yield
    app.state.waiting.close()
    app.state.database.dispose()


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
        )
        schemas = schema.setdefault("components", {}).setdefault("schemas", {})
        schemas["Problem"] = Problem.model_json_schema()
        add_security(schema)
        app.openapi_schema = schema
    return app.openapi_schema
