"""Everything on one machine: Postgres, Redis, API, dispatcher and worker, under one folder."""

import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from sqlalchemy import create_engine

from app.access.keys_pepper import make_pepper
from app.core.migrate import upgrade
from app.core.reachable import listen, require_loopback, require_postgres, require_redis
from app.embedded.children import Child, ChildSpec
from app.embedded.environment import child_environment, settings_from
from app.embedded.errors import EmbeddedError, InterruptedStartError, told_of_folders
from app.embedded.lock import DataDirectoryLock
from app.embedded.postgres import prepare_postgres, wait_for_postgres
from app.embedded.record import end_recorded
from app.embedded.redis import prepare_redis, wait_for_redis
from app.embedded.supervisor import Supervisor

_READY_TIMEOUT = 120.0


class EmbeddedStack:
    """All processes of Featuredrift on this machine, started and stopped together.

    Postgres and Redis are embedded unless a URL for them is set. The data survive a stop, and a
    crash. Use it as a context manager:

        with EmbeddedStack(data_dir=Path(".featuredrift"), port=0) as stack:
            httpx.get(f"{stack.base_url}/v1/models")

    Args:
        report: takes lines for a person: what is starting, what crashed.
        overrides: settings by name; `port=0` takes a free one. All else is from the environment.

    Raises:
        ValueError: a setting does not exist or has an impossible value.
    """

    def __init__(
        self, *, report: Callable[[str], None] = lambda _line: None, **overrides: Any
    ) -> None:
        settings = settings_from(overrides)
        self._own_postgres = "database_url" not in settings.model_fields_set
        self._own_redis = "redis_url" not in settings.model_fields_set
        self.data_dir = settings.data_dir.resolve()
        self.settings = settings.model_copy(update={"data_dir": self.data_dir})
        self._report = report
        self._stop_asked = False
        self._lock = DataDirectoryLock(self.data_dir)
        self._listener: socket.socket | None = None
        self._supervisor: Supervisor | None = None

    @property
    def base_url(self) -> str:
        """Where the API listens."""
        host = self.settings.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.settings.port}"

    @property
    def worker_pid(self) -> int:
        """The process id of the worker's parent, as it is now: a restart changes it."""
        return self._running("worker").pid

    def stopping(self) -> bool:
        """Whether someone has asked to stop."""
        return self._stop_asked

    @property
    def failure(self) -> str | None:
        """Why the stack cannot go on, once a child did not stay alive."""
        return self._supervisor.failure if self._supervisor else None

    @property
    def logs(self) -> Path:
        """The folder of the children's logs."""
        return self.data_dir / "logs"

    def pid(self, name: str) -> int:
        """The process id of a child: `postgres`, `redis`, `api`, `dispatcher` or `worker`."""
        return self._running(name).pid

    def start(self) -> Self:
        """Start everything, and return when the API is ready.

        Raises:
            EmbeddedError: something cannot start, or a stop was asked for; nothing is left running.
            StartError: a configured Postgres or Redis does not answer, or the address is public.
        """
        require_loopback(self.settings.host)
        with told_of_folders():
            self._lock.acquire()
            return self._start()

    def _start(self) -> Self:
        try:
            self._listener = listen(self.settings.host, self.settings.port)
            self._set(port=self._listener.getsockname()[1])
            for name in end_recorded(self.data_dir):
                self._report(f"ended {name}, left over from a run that was killed")
            self._supervisor = Supervisor(self.data_dir, self._lock.fd, self._report)
            self._start_backing()
            self._start_own()
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def ask_to_stop(self, *, hurry: bool = False) -> None:
        """Make `wait`, `run` and a start under way return. Safe in a signal handler."""
        self._stop_asked = True
        if hurry and self._supervisor:
            self._supervisor.hurry = True

    def wait(self) -> None:
        """Wait until someone asks to stop, or a child cannot be kept alive."""
        while not self._stop_asked and self.failure is None:
            time.sleep(0.1)

    def run(self, argv: tuple[str, ...]) -> int:
        """Run a program beside the stack, its output to ours, and return its exit code."""
        if self._supervisor is None:
            raise RuntimeError("the stack is not running")
        spec = ChildSpec(name=argv[-1], argv=argv, environment=child_environment(self.settings))
        return self._supervisor.run(spec, stopping=self.stopping)

    def stop(self) -> None:
        """End worker, dispatcher, API, Redis and Postgres, in this order, each in bounded time."""
        if self._supervisor is not None:
            self._supervisor.stop()
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self._lock.release()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _start_backing(self) -> None:
        supervisor = self._require_supervisor()
        if self._own_postgres:
            self._report("starting Postgres")
            spec, url = prepare_postgres(self.data_dir / "postgres", log=self.logs / "postgres.log")
            self._check_stop()
            wait_for_postgres(supervisor.start(spec), url, stopping=self.stopping)
            self._set(database_url=url)
        else:
            require_postgres(self.settings, migrated=False)
        if self._own_redis:
            self._report("starting Redis")
            spec, url = prepare_redis(self.data_dir / "redis", log=self.logs / "redis.log")
            wait_for_redis(supervisor.start(spec), url, stopping=self.stopping)
            self._set(redis_url=url)
        else:
            require_redis(self.settings)
        self._check_stop()
        engine = create_engine(self.settings.database_url)
        try:
            upgrade(engine)
        finally:
            engine.dispose()

    def _start_own(self) -> None:
        supervisor = self._require_supervisor()
        for root in self.settings.allowed_roots:
            root.mkdir(parents=True, exist_ok=True)
        self._report("starting API, dispatcher and worker")
        listener = self._listener
        if listener is None:
            raise RuntimeError("the socket is not open")
        fd = listener.fileno()
        if self.settings.require_keys:
            make_pepper(self.settings)
        in_api = self.settings.model_copy(update={"metrics_in_api": True})
        for name, arguments, settings, fds in (
            ("api", ("api", "--listen-fd", str(fd)), in_api, (fd,)),
            ("dispatcher", ("dispatcher",), self.settings, ()),
            ("worker", ("worker",), self.settings, ()),
        ):
            self._check_stop()
            supervisor.start(
                ChildSpec(
                    name=name,
                    argv=(sys.executable, "-m", "app.cli", *arguments),
                    log=self.logs / f"{name}.log",
                    environment=child_environment(settings),
                    pass_fds=fds,
                )
            )

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _READY_TIMEOUT
        said = "no answer yet"
        with httpx.Client(base_url=self.base_url, timeout=5, trust_env=False) as client:
            while time.monotonic() < deadline:
                self._check_stop()
                if self.failure is not None:
                    raise EmbeddedError(self.failure)
                try:
                    response = client.get("/readyz")
                except httpx.HTTPError as error:
                    said = str(error)
                else:
                    if response.status_code == httpx.codes.OK:
                        return
                    said = f"{response.status_code} {response.text[:500]}"
                time.sleep(0.1)
        raise EmbeddedError(
            f"{self.base_url}/readyz is not ready after {_READY_TIMEOUT:g} s: {said}. "
            f"See {self.logs}/api.log"
        )

    def _set(self, **values: Any) -> None:
        """Fill in what is known only now; the values are our own and need no validation."""
        self.settings = self.settings.model_copy(update=values)

    def _check_stop(self) -> None:
        if self._stop_asked:
            raise InterruptedStartError("stopped before it was ready")

    def _running(self, name: str) -> Child:
        child = self._supervisor.child(name) if self._supervisor else None
        if child is None:
            raise RuntimeError(f"{name} is not running")
        return child

    def _require_supervisor(self) -> Supervisor:
        if self._supervisor is None:
            raise RuntimeError("the stack is not running")
        return self._supervisor
