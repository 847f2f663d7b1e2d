"""Worker processes, and a dispatcher beside them."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from app.core.faults import VARIABLE
from app.core.ids import new_id
from app.embedded.environment import child_environment
from app.evaluations.dispatcher import run_dispatcher
from app.settings import Settings
from tests.support.forked import ForkedProcess, run_celery


@contextmanager
def dispatching(settings: Settings) -> Iterator[None]:
    """A dispatcher in a thread."""
    stop = threading.Event()
    thread = threading.Thread(target=run_dispatcher, args=(settings, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


class Worker:
    """A worker process with one or more children."""

    def __init__(
        self,
        settings: Settings,
        log: Path,
        concurrency: int = 1,
        faults: Path | None = None,
        *,
        forked: bool = False,
        skew: Path | None = None,
    ) -> None:
        """Start it; `forked`, from a server that has its libraries in memory.

        Such a worker's clock is wrong by the seconds in the file `skew`, as long as there is one.
        """
        self.log = log
        log.touch()
        environment = fault_environment(settings, faults)
        arguments = [
            *("worker", "--pool", "prefork", "--concurrency", str(concurrency)),
            *("--hostname", f"{new_id().hex}@test", "--loglevel", "info"),
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        ]
        self.process: subprocess.Popen[bytes] | ForkedProcess
        if forked:
            self.process = ForkedProcess(
                run_celery, [arguments], env=environment, log=log, skew=skew
            )
            return
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "celery", "--app", "workers.celery_app", *arguments],
                env=environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def children(self) -> list[psutil.Process]:
        """The pool's processes."""
        return [
            child
            for child in psutil.Process(self.process.pid).children()
            if child.status() != psutil.STATUS_ZOMBIE
        ]

    def kill_children(self) -> None:
        """kill -9, as the kernel does when memory runs out."""
        for child in self.children():
            os.kill(child.pid, signal.SIGKILL)

    def kill(self) -> None:
        """kill -9 for parent and children at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self, timeout: float = 60) -> None:
        """A warm shutdown; what does not obey in time is killed."""
        self.process.terminate()
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


def fault_environment(settings: Settings, faults: Path | None) -> dict[str, str]:
    """A child's environment, with the folder where its faults are ordered."""
    environment = child_environment(settings)
    return environment | ({VARIABLE: str(faults)} if faults is not None else {})


@contextmanager
def working(
    settings: Settings,
    log: Path,
    concurrency: int = 1,
    faults: Path | None = None,
    *,
    forked: bool = False,
) -> Iterator[Worker]:
    """A worker for the duration of a block."""
    worker = Worker(settings, log, concurrency, faults, forked=forked)
    try:
        yield worker
    finally:
        if worker.process.poll() is None:
            worker.stop()
