"""/healthz and /readyz: is the process alive, and can it serve."""

from typing import Literal

from fastapi import APIRouter
from pydantic import ConfigDict

from app.core.dependencies import AppDatabase
from app.core.errors import UnavailableError
from app.core.migrate import current_and_head, is_outdated
from app.core.problems import PROBLEM_RESPONSES
from app.core.schemas import Output

router = APIRouter(tags=["health"])


class Health(Output):
    """All is well."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ok"}]})

    status: Literal["ok"] = "ok"


@router.get("/healthz")
async def healthz() -> Health:
    """The process answers; a load balancer restarts it when this fails."""
    return Health()


@router.get("/readyz", responses=PROBLEM_RESPONSES)
def readyz(database: AppDatabase) -> Health:
    """The database answers and has the schema of this release or a later one; otherwise 503."""
    current, head = current_and_head(database.engine)
    if is_outdated(current):
        raise UnavailableError(
            f"the database is at revision {current}, this release needs {head}; migrate it",
            code="schema_outdated",
        )
    return Health()
