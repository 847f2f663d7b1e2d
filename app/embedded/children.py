"""One child process: started in a process group of its own, ended whole."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from app.embedded.errors import EmbeddedError

_POLL = 0.05
_LOG_LIMIT = 16 << 20


@dataclass(frozen=True)
class ChildSpec:
    """How to start a child and how to ask it to end.

    Args:
        log: the file that takes its output; None lets it write to ours.
        stop_signal: what the leader is sent first; the whole group gets SIGKILL after `grace` s.
        user: run as this account (uid, gid); only root can.
    """

    name: str
    argv: tuple[str, ...]
    log: Path | None = None
    environment: Mapping[str, str] | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    grace: float = 10.0
    pass_fds: tuple[int, ...] = ()
    user: tuple[int, int] | None = None


@dataclass
class Child:
    """A started child. Its process group is its own, so that a Ctrl-C reaches only the parent."""

    spec: ChildSpec
    process: subprocess.Popen[bytes]
    started: float = field(default_factory=time.monotonic)

    @property
    def pid(self) -> int:
        """The leader's process id, which is also the id of its group."""
        return self.process.pid

    def running(self) -> bool:
        """Whether the leader lives."""
        return self.process.poll() is None

    def outcome(self) -> str:
        """How it ended, for a person."""
        code = self.process.poll()
        if code is None:
            return "is running"
        if code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        return f"exited with code {code}"

    def end(self, hurry: Callable[[], bool] | None = None) -> None:
        """Stop signal, a bounded wait, then SIGKILL to everything left of its group."""
        end_group(
            self.pid,
            alive=self.running,
            stop_signal=self.spec.stop_signal,
            grace=self.spec.grace,
            hurry=hurry,
        )
        self.process.wait()

    def log_tail(self, lines: int = 8) -> str:
        """The last lines that it logged."""
        return tail(self.spec.log, lines)


def start_child(spec: ChildSpec) -> Child:
    """Start a child.

    Raises:
        EmbeddedError: the program cannot be executed, or the log cannot be written.
    """
    try:
        log = _open_log(spec.log) if spec.log else None
        try:
            process = subprocess.Popen(  # noqa: S603 - argument lists are our own
                spec.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT if log else None,
                env=dict(spec.environment) if spec.environment is not None else None,
                pass_fds=spec.pass_fds,
                start_new_session=True,
                user=spec.user[0] if spec.user else None,
                group=spec.user[1] if spec.user else None,
                extra_groups=[] if spec.user else None,
            )
        finally:
            if log:
                log.close()
    except OSError as error:
        raise EmbeddedError(f"{spec.name} cannot be started: {error}") from error
    return Child(spec, process)


def end_group(
    pid: int,
    *,
    alive: Callable[[], bool],
    stop_signal: signal.Signals,
    grace: float,
    hurry: Callable[[], bool] | None = None,
) -> None:
    """Ask the leader of a group to end, wait at most `grace` seconds, then kill the group.

    The group is killed also when its leader has gone by itself: what a crashed leader leaves
    behind must not live on.
    """
    if alive():
        _send(os.kill, pid, stop_signal)
        deadline = time.monotonic() + grace
        while alive() and time.monotonic() < deadline and not (hurry and hurry()):
            time.sleep(_POLL)
    _send(os.killpg, pid, signal.SIGKILL)
    deadline = time.monotonic() + 10.0
    while alive() and time.monotonic() < deadline:
        time.sleep(_POLL)


def tail(log: Path | None, lines: int = 8) -> str:
    """The last lines of a log file, or a remark that there are none."""
    if log is None or not log.exists():
        return "(no log)"
    text = log.read_text(errors="replace").splitlines()[-lines:]
    return "\n".join(text) or "(the log is empty)"


def _open_log(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > _LOG_LIMIT:
        path.replace(path.with_suffix(".log.1"))
    return path.open("ab")


def _send(send: Callable[[int, int], None], pid: int, number: signal.Signals) -> None:
    try:
        send(pid, number)
    except ProcessLookupError:
        return
