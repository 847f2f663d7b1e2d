"""Where keys are needed there must be some: asked at the start of the API."""

from app.access import keys_repository as repository
from app.access.keys_pepper import read_pepper
from app.core.database import Database, make_engine
from app.core.logging import get_logger
from app.core.reachable import is_loopback, no_keys
from app.settings import Settings


def require_pepper(settings: Settings, host: str) -> None:
    """Check that keys can be told.

    Raises:
        StartError: there is no pepper.
    """
    if read_pepper(settings) is None:
        raise no_keys(
            host,
            "there is no secret to digest them with: set FEATUREDRIFT_KEY_PEPPER to at least 32 "
            "random characters, and make a key with `featuredrift keys create`",
        )


def require_some_key(settings: Settings, host: str) -> None:
    """Check that somebody can get in; on loopback, where keys can be made meanwhile, only warn.

    Raises:
        StartError: no key is configured, and none of the database works.
    """
    if settings.bootstrap_key:
        return
    database = Database(make_engine(settings, pool_size=1, application="start"))
    try:
        with database.unit_of_work() as session:
            if repository.any_usable(session):
                return
    finally:
        database.dispose()
    if is_loopback(host):
        get_logger(__name__).warning(
            "keys are needed, and none works: make one with `featuredrift keys create`"
        )
        return
    raise no_keys(
        host,
        "there is none that works: make one with `featuredrift keys create`, or set "
        "FEATUREDRIFT_BOOTSTRAP_KEY",
    )
