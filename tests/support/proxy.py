"""A TCP proxy that can be slow, deaf, half closed or gone."""

import contextlib
import socket
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

_CHUNK = 1 << 16
_TICK = 0.05


class Proxy:
    """Passes TCP connections on to a server's Unix socket, and spoils them on demand.

    Attributes:
        port: where it listens, on loopback.
        delay: seconds that every chunk waits, in both directions.
        deaf: swallow what comes, in both directions; connections stay open.
    """

    def __init__(self, target: Path) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(_TICK)
        self.port: int = self._listener.getsockname()[1]
        self.delay = 0.0
        self.deaf = False
        self._away = False
        self._closing = False
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._closing = True
        self._thread.join()
        self.cut()
        self._listener.close()

    @property
    def connections(self) -> int:
        """How many are open."""
        with self._lock:
            return len(self._pairs)

    def cut(self) -> None:
        """Close all connections; new ones are closed as they come, until `mend`."""
        self._away = True
        with self._lock:
            for one in [end for pair in self._pairs for end in pair]:
                _close(one)
            self._pairs.clear()

    def half_close(self) -> None:
        """Tell all clients that nothing more will come, and go on listening to them."""
        with self._lock:
            for client, _ in self._pairs:
                with contextlib.suppress(OSError):
                    client.shutdown(socket.SHUT_WR)

    def mend(self) -> None:
        """As at the beginning."""
        self.delay, self.deaf, self._away = 0.0, False, False

    def _accept(self) -> None:
        while not self._closing:
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            client.settimeout(None)
            server = socket.socket(socket.AF_UNIX)
            try:
                if self._away:
                    raise ConnectionRefusedError
                server.connect(str(self._target))
            except OSError:
                _close(client)
                _close(server)
                continue
            with self._lock:
                self._pairs.append((client, server))
            for source, sink in ((client, server), (server, client)):
                threading.Thread(
                    target=self._pass_on, args=(source, sink, (client, server)), daemon=True
                ).start()

    def _pass_on(
        self, source: socket.socket, sink: socket.socket, pair: tuple[socket.socket, socket.socket]
    ) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK):
                if self.delay:
                    time.sleep(self.delay)
                if not self.deaf:
                    sink.sendall(data)
        with self._lock, contextlib.suppress(ValueError):
            self._pairs.remove(pair)
        for one in pair:
            _close(one)


def _close(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
