"""`featuredrift up` as a real process, and what it leaves behind."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

_OURS = ("FEATUREDRIFT_PRELOAD", "FEATUREDRIFT_THREADS")
"""Settings of all tests, which leave every result as it is."""
_READY = re.compile(r"API\s+(http://\S+)")
NAMES = ("postgres", "redis", "api", "dispatcher", "worker")


def environment(**extra: str) -> dict[str, str]:
    """The environment without any setting of Featuredrift's, save those given."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name in _OURS
        or not (name.startswith("FEATUREDRIFT_") or name in ("DATABASE_URL", "REDIS_URL"))
    }
    return inherited | extra


def command(*arguments: str) -> list[str]:
    """A command line of Featuredrift's."""
    return [sys.executable, "-m", "app.cli", *arguments]


@dataclass
class Up:
    """A running `featuredrift up`."""

    process: subprocess.Popen[bytes]
    base_url: str
    data_dir: Path
    output: Path

    def family(self) -> list[psutil.Process]:
        """Everything that it has started, and what that has started."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def child(self, name: str) -> psutil.Process:
        """The child that does one job."""
        for found in self.family():
            line = " ".join(found.as_dict(["cmdline"])["cmdline"] or ())
            if name in {"postgres", "redis"}:
                fits = found.ppid() == self.process.pid and f"/{name}" in line.split(" -")[0]
            elif name == "worker":
                fits = found.ppid() == self.process.pid and "workers.celery_app" in line
            else:
                fits = f"app.cli {name}" in line
            if fits:
                return found
        raise AssertionError(f"no {name} among {[p.cmdline() for p in self.family()]}")

    def stop(self, number: signal.Signals = signal.SIGINT, within: float = 60) -> int:
        """Send a signal, and wait for the end."""
        self.process.send_signal(number)
        return self.process.wait(within)


@contextmanager
def running_up(data_dir: Path, *arguments: str, **extra: str) -> Iterator[Up]:
    """Start it, wait until it says that it is ready, and leave nothing running afterwards."""
    output = data_dir.parent / f"{data_dir.name}-{time.monotonic_ns()}.out"
    with output.open("wb") as log:
        process = subprocess.Popen(
            command("up", "--data-dir", str(data_dir), "--port", "0", *arguments),
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment(**extra),
            start_new_session=True,
        )
    family: list[psutil.Process] = []
    try:
        wait_for(lambda: _READY.search(output.read_text()) or process.poll() is not None, 120)
        found = _READY.search(output.read_text())
        assert found, output.read_text()
        up = Up(process, found[1], data_dir, output)
        family = up.family()
        yield up
    finally:
        if process.poll() is None:
            family += psutil.Process(process.pid).children(recursive=True)
            process.kill()
            process.wait()
        for left in alive(family):
            left.kill()


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still run; a dead one that nobody has waited for does not."""
    return [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)
