"""The database of commands that work beside the API: the configured one, else that of `up`."""

from collections.abc import Iterator
from contextlib import contextmanager

from app.core.database import Database, make_engine
from app.core.errors import StartError
from app.core.reachable import require_postgres
from app.settings import Settings, get_settings


@contextmanager
def own_database(application: str, *, pool_size: int = 1) -> Iterator[tuple[Database, Settings]]:
    """The database, and the settings that lead to it.

    Args:
        application: shows in `pg_stat_activity`.

    Raises:
        StartError: it does not answer, or none is configured and none runs.
    """
    settings = get_settings()
    if "database_url" not in settings.model_fields_set:
        settings = settings.model_copy(update={"database_url": _embedded_url(settings)})
    require_postgres(settings)
    database = Database(make_engine(settings, pool_size=pool_size, application=application))
    try:
        yield database, settings
    finally:
        database.dispose()


def with_embedded(settings: Settings) -> Settings:
    """The settings, with the servers that `featuredrift up` runs on the data folder.

    Raises:
        StartError: it does not run there.
    """
    from app.embedded.redis import socket_of, url_of

    servers = {
        "database_url": _embedded_url(settings),
        "redis_url": url_of(socket_of(settings.data_dir / "redis")),
    }
    return settings.model_copy(update=servers)


def _embedded_url(settings: Settings) -> str:
    """The URL of the Postgres that `featuredrift up` runs; its pid file says where its socket is.

    Raises:
        StartError: none runs on this data folder.
    """
    folder = settings.data_dir.resolve() / "postgres"
    try:
        sockets = (folder / "postmaster.pid").read_text().splitlines()[4]
    except (OSError, IndexError):
        raise StartError(
            f"No Postgres runs on {folder}. Set DATABASE_URL to the deployment's, or start "
            "`featuredrift up` and set FEATUREDRIFT_DATA_DIR to its folder."
        ) from None
    return f"postgresql+psycopg://postgres@/postgres?host={sockets}"
