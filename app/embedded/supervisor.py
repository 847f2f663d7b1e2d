"""Keeps children alive: restarts one that ends by itself, gives up on one that will not stay."""

import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from app.embedded.children import Child, ChildSpec, start_child
from app.embedded.errors import EmbeddedError
from app.embedded.record import write_record

_POLL = 0.1
_FIRST_DELAY = 0.5
_LONGEST_DELAY = 8.0
_CRASHES = 5
_WITHIN = 60.0


class Supervisor:
    """The children of one data directory, in the order in which they were started.

    Args:
        lock_fd: the data directory's lock, shared with the watchdog.
        report: takes a line for a person.
    """

    def __init__(self, data_dir: Path, lock_fd: int, report: Callable[[str], None]) -> None:
        self._data_dir = data_dir
        self._lock_fd = lock_fd
        self._report = report
        self._children: dict[str, Child] = {}
        self._crashes: dict[str, deque[float]] = {}
        self._restart_at: dict[str, float] = {}
        self._guard = threading.RLock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._guest: Child | None = None
        # Plain flags where a signal handler writes: an Event's lock may be held by the very thread
        # that the handler interrupts.
        self.hurry = False
        """Set it to cut short every wait of a shutdown."""
        self.failed = threading.Event()
        self.failure: str | None = None

    def start(self, spec: ChildSpec) -> Child:
        """Start a child and keep it alive from now on.

        Raises:
            EmbeddedError: it cannot be executed.
        """
        with self._guard:
            if self._watchdog is None:
                self._start_watchdog()
            child = start_child(spec)
            self._children[spec.name] = child
            self._record()
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
            self._thread.start()
        return child

    def child(self, name: str) -> Child | None:
        """The child of that name, as it is now: a restart gives another one."""
        return self._children.get(name)

    def run(self, spec: ChildSpec, *, stopping: Callable[[], bool]) -> int:
        """Run a child to its end; it is not restarted.

        Returns:
            its exit code, 128 + n if a signal n ended it.
        """
        with self._guard:
            child = self._guest = start_child(spec)
            self._record()
        while child.running() and not stopping() and not self.failed.is_set():
            time.sleep(_POLL)
        child.end(self._in_a_hurry)
        self._guest = None
        code = child.process.returncode
        return code if code >= 0 else 128 - code

    def stop(self) -> None:
        """End all children, the last started first; every wait is bounded."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        with self._guard:
            for child in reversed(self._children.values()):
                child.end(self._in_a_hurry)
            self._children.clear()
            if self._watchdog is not None:
                write_record(self._data_dir, ())
                self._end_watchdog()

    def _watch(self) -> None:
        while not self._stopping.wait(_POLL):
            with self._guard:
                for name, child in list(self._children.items()):
                    if not child.running():
                        self._mend(name, child)
                if self._watchdog is not None and self._watchdog.poll() is not None:
                    self._end_watchdog()
                    self._start_watchdog()
            if self.failed.is_set():
                return

    def _mend(self, name: str, child: Child) -> None:
        """One step towards a child that runs again: note the crash, wait, restart."""
        now = time.monotonic()
        if name not in self._restart_at:
            child.end()  # what the leader left of its group
            crashes = self._crashes.setdefault(name, deque())
            crashes.append(now)
            while crashes[0] < now - _WITHIN:
                crashes.popleft()
            if len(crashes) >= _CRASHES:
                self._give_up(
                    f"{name} {child.outcome()} for the {len(crashes)}th time within {_WITHIN:g} s; "
                    f"giving up. Its last lines ({child.spec.log}):\n{child.log_tail()}"
                )
                return
            delay = min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** (len(crashes) - 1))
            self._report(f"{name} {child.outcome()}; starting it again in {delay:g} s")
            self._restart_at[name] = now + delay
        elif now >= self._restart_at[name]:
            del self._restart_at[name]
            try:
                self._children[name] = start_child(child.spec)
            except EmbeddedError as error:
                self._give_up(str(error))
                return
            self._record()

    def _record(self) -> None:
        guest = [self._guest] if self._guest else []
        write_record(self._data_dir, [*self._children.values(), *guest])

    def _in_a_hurry(self) -> bool:
        return self.hurry

    def _give_up(self, reason: str) -> None:
        self.failure = reason
        self.failed.set()

    def _start_watchdog(self) -> None:
        self._watchdog = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "app.embedded.watchdog", str(self._data_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(self._lock_fd,),
            env=dict(os.environ),
            start_new_session=True,
        )

    def _end_watchdog(self) -> None:
        """Close the pipe; with nothing recorded, the watchdog has nothing to do and ends."""
        if self._watchdog is not None and self._watchdog.stdin is not None:
            self._watchdog.stdin.close()
            self._watchdog.wait()
        self._watchdog = None
