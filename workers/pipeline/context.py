"""What a worker child holds for its whole life: settings, connections, store, loaded models."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app.core.artifacts import ArtifactStore
from app.core.database import Database, make_engine
from app.core.logging import get_logger
from app.settings import Settings, get_settings
from workers.capture.loading import ModelCache
from workers.pipeline.memory import Remembered
from workers.pipeline.sources import CheckpointSources, DictionarySources

Result = TypeVar("Result")

_BASELINES = 4
"""Whose controls' findings are kept in memory; of a large dictionary that is some megabytes."""

_LIMIT_SILENCE = text("SELECT set_config('idle_in_transaction_session_timeout', :limit, true)")

log = get_logger(__name__)


@dataclass(frozen=True)
class Context:
    """The child's surroundings, handed to every step."""

    settings: Settings
    database: Database
    heartbeats: Database
    """A connection of its own: a heartbeat never waits behind the work."""
    store: ArtifactStore
    checkpoints: CheckpointSources
    dictionaries: DictionarySources
    models: ModelCache
    remembered: Remembered[Any]
    """What the controls on recent baselines found."""

    @property
    def _silence(self) -> int:
        return int(self.settings.lease_seconds * 1000)

    def settle(self, work: Callable[[Session], Result]) -> Result:
        """One short transaction, tried again while Postgres is away, as long as a lease lasts.

        A commit whose answer was lost is tried again too; the fence then says that the shard is no
        longer held, which is the truth.

        Raises:
            OperationalError: Postgres stayed away; the lease runs out and the sweep takes over.
        """
        deadline = time.monotonic() + self.settings.lease_seconds
        pause = 0.1
        while True:
            try:
                with self.database.unit_of_work() as session:
                    # Whoever is stopped in here keeps rows locked that its successor needs.
                    session.execute(_LIMIT_SILENCE, {"limit": str(self._silence)})
                    return work(session)
            except OperationalError as error:
                if time.monotonic() + pause > deadline:
                    raise
                reason = str(error).split("\n", 1)[0]
                log.warning("postgres unavailable", error=reason, retry_in=pause)
            time.sleep(pause)
            pause = min(2 * pause, 2.0)


@lru_cache(maxsize=1)
def get_context() -> Context:
    """The context of this process, made on first use: nothing in it may cross a fork."""
    return make_context(get_settings())


def make_context(settings: Settings) -> Context:
    """A context of its own, for the given settings."""
    roots = settings.allowed_roots
    cache = settings.data_dir.resolve() / "cache"
    store = ArtifactStore(settings.artifacts, cache / "artifacts", settings.artifact_cache_bytes)
    hub = settings.allow_hub
    return Context(
        settings=settings,
        database=Database(
            # No shard lasts longer, so that nothing else of it need be cut off.
            make_engine(
                settings, pool_size=2, application="worker", silence=settings.shard_hard_limit
            )
        ),
        heartbeats=Database(
            make_engine(
                settings, pool_size=1, application="heartbeat", silence=settings.lease_seconds
            )
        ),
        store=store,
        checkpoints=CheckpointSources(roots=roots, cache=cache, allow_hub=hub),
        dictionaries=DictionarySources(roots=roots, cache=cache, allow_hub=hub, store=store),
        models=ModelCache(settings.loaded_models),
        remembered=Remembered(_BASELINES),
    )
