"""What endpoints take from the application: made once at start, found on `app.state`."""

from typing import Annotated

from fastapi import Depends, Request

from app.core.artifacts import ArtifactStore
from app.core.database import Database
from app.core.waiting import Waiting
from app.settings import Settings

# These are coroutines, so that FastAPI does not spend a thread on each.


async def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


async def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    # What a principal may not see does not exist in the transactions of its requests.
    return database.on_behalf_of(getattr(request.state, "principal", None))


async def _artifacts(request: Request) -> ArtifactStore:
    artifacts: ArtifactStore = request.app.state.artifacts
    return artifacts


async def _waiting(request: Request) -> Waiting:
    waiting: Waiting = request.app.state.waiting
    return waiting


AppSettings = Annotated[Settings, Depends(_settings)]
AppDatabase = Annotated[Database, Depends(_database)]
AppArtifacts = Annotated[ArtifactStore, Depends(_artifacts)]
AppWaiting = Annotated[Waiting, Depends(_waiting)]
