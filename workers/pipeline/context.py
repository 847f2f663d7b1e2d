"""What a worker child holds for its whole life: settings, connections, store, loaded models."""

from dataclasses import dataclass
from functools import lru_cache

from app.core.artifacts import ArtifactStore
from app.core.database import Database, make_engine
from app.settings import Settings, get_settings
from workers.capture.loading import ModelCache
from workers.pipeline.sources import CheckpointSources, DictionarySources


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


@lru_cache(maxsize=1)
def get_context() -> Context:
    """The context of this process, made on first use: nothing in it may cross a fork."""
    return make_context(get_settings())


def make_context(settings: Settings) -> Context:
    """A context of its own, for the given settings."""
    roots = settings.allowed_roots
    cache = settings.data_dir.resolve() / "cache"
    return Context(
        settings=settings,
        database=Database(make_engine(settings, pool_size=2, application="worker")),
        heartbeats=Database(make_engine(settings, pool_size=1, application="heartbeat")),
        store=ArtifactStore(settings.artifacts, cache / "artifacts"),
        checkpoints=CheckpointSources(roots=roots, cache=cache, allow_hub=settings.allow_hub),
        dictionaries=DictionarySources(roots=roots, cache=cache, allow_hub=settings.allow_hub),
        models=ModelCache(settings.loaded_models),
    )
