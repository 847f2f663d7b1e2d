"""Is what a process needs there? Asked once at its start, answered in one clear line."""

import ipaddress
import socket
from typing import TYPE_CHECKING

from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from app.core.database import make_engine
from app.core.errors import StartError
from app.core.logging import get_logger
from app.core.migrate import current_and_head, is_outdated
from app.settings import Settings, redact

# Imported where it is used: half a second that most commands do not need.
if TYPE_CHECKING:
    from redis import Redis


def require_postgres(settings: Settings, *, migrated: bool = True) -> None:
    """Check that Postgres answers and, unless told otherwise, that its schema is not an older one.

    Raises:
        StartError: with the URL, without its password, and what to do.
    """
    engine = make_engine(settings, pool_size=1, application="start")
    try:
        current, head = _revisions(engine, settings)
    finally:
        engine.dispose()
    if migrated and is_outdated(current):
        raise StartError(
            f"The database {redact(settings.database_url)} is at revision {current or '(empty)'}, "
            f"this release needs {head}. Run `featuredrift migrate`."
        )


def require_redis(settings: Settings) -> None:
    """Check that the broker answers.

    Raises:
        StartError: with the URL, without its password, and what to do.
    """
    from redis.exceptions import RedisError

    try:
        with redis_client(settings) as client:
            client.ping()
    except (RedisError, ValueError, OSError) as error:
        raise StartError(
            f"Redis at {redact(settings.redis_url)} does not answer: {_first_line(error)}. Start "
            "it, or set REDIS_URL to one that runs."
        ) from error


def redis_client(settings: Settings) -> "Redis":
    """A client of the broker that asks once: by default redis-py asks again for seconds.

    Raises:
        ValueError: the URL is none of Redis.
    """
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    url = settings.redis_url
    # Celery and redis-py spell the same socket URL differently.
    if url.startswith("redis+socket://"):
        path, _, query = url.removeprefix("redis+socket://").partition("?")
        database = query.partition("virtual_host=")[2].partition("&")[0] or "0"
        url = f"unix://{path}?db={database}"
    return Redis.from_url(
        url, socket_connect_timeout=5, socket_timeout=5, retry=Retry(NoBackoff(), 0)
    )


def require_loopback(host: str) -> None:
    """Check that a server without API keys would be reachable from this machine only.

    Raises:
        StartError: the address is reachable from other machines.
    """
    if not is_loopback(host):
        raise StartError(_refusal(host))


def keys_needed(settings: Settings, host: str) -> bool:
    """Whether the API answers only who sends a key: beyond loopback, and where it is set.

    With `allow_unauthenticated_bind` it listens anywhere without keys, and warns. Who can reach it
    is then for the network around it to bound.
    """
    if settings.require_keys:
        return True
    if is_loopback(host):
        return False
    if settings.allow_unauthenticated_bind:
        get_logger(__name__).warning(
            "the API listens beyond loopback without authentication: whoever reaches this address "
            "can read, register and delete",
            host=host,
        )
        return False
    return True


def no_keys(host: str, why: str) -> StartError:
    """The refusal to need keys where there are none."""
    return StartError(
        f"Refusing to listen on {host}: API keys are needed there, and {why}. Listen on 127.0.0.1 "
        "without FEATUREDRIFT_REQUIRE_KEYS; or, in a container whose network admits only a proxy "
        "that authenticates, set FEATUREDRIFT_ALLOW_UNAUTHENTICATED_BIND=true."
    )


def listen(host: str, port: int) -> socket.socket:
    """Open a listening socket; port 0 takes a free one.

    It is opened before anything else is started, so that a taken port is the first thing to show.

    Raises:
        StartError: the port is taken or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Connections inherit it. Without it, an answer's body waits 40 ms for its head to be
    # acknowledged; asyncio sets it by itself only on sockets that name their protocol.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise StartError(
            f"Port {port} on {host} cannot be used: {error.strerror}. Give another --port, or end "
            "what listens there."
        ) from error
    return listener


def is_loopback(host: str) -> bool:
    """Whether a host's addresses are all this machine's own.

    Raises:
        StartError: it has none.
    """
    try:
        addresses = {str(info[4][0]) for info in socket.getaddrinfo(host, None)}
    except OSError as error:
        raise StartError(f"The host {host!r} cannot be resolved: {error}.") from error
    return all(ipaddress.ip_address(address).is_loopback for address in addresses)


def _refusal(host: str) -> str:
    return (
        f"Refusing to listen on {host}: it is reachable from other machines, and embedded servers "
        "are for this one. Listen on 127.0.0.1, or run `featuredrift api` with API keys."
    )


def _revisions(engine: Engine, settings: Settings) -> tuple[str | None, str | None]:
    try:
        return current_and_head(engine)
    except OperationalError as error:
        raise StartError(
            f"Postgres at {redact(settings.database_url)} does not answer: "
            f"{_first_line(error.orig or error)}. Start it, or set DATABASE_URL to one that runs."
        ) from error


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
