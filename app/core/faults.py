"""Named points at which crash tests make a process die, stop, hang or fail.

Without the environment variable `FEATUREDRIFT_FAULTS`, which no setting and no deployment has, a
point costs one comparison. With it, the variable names a folder; a file `<point>.<anything>` there,
or `<point>@<kind>.<anything>` for work of one kind, holds what the next process at that point
shall do, and is consumed by it, unless it ends in `.always`.
"""

import errno
import os
import resource
import signal
import time
from pathlib import Path

VARIABLE = "FEATUREDRIFT_FAULTS"

_FOLDER = os.environ.get(VARIABLE)

POINTS = (
    "before-claim",
    "after-claim",
    "mid-capture",
    "mid-write",
    "after-artifact",
    "before-manifest",
    "after-copy",
    "before-finish",
    "before-ack",
    "before-publish",
    "after-publish",
    "before-delivery",
    "after-delivery",
    "collector-marked",
    "collector-condemned",
    "collector-deleting",
    "collector-deleted",
)

_SPARE_BYTES = 32 << 20


class InjectedFaultError(Exception):
    """A fault that a test has asked for."""


def fault_point(name: str, kind: str = "") -> None:
    """Do here what a test has asked for; in production, nothing.

    Args:
        name: one of `POINTS`.
        kind: what the order may name after an `@`: the kind of shard, or the checkpoint.
    """
    if _FOLDER is None:
        return
    folder = Path(_FOLDER)
    for order in sorted([*folder.glob(f"{name}.*"), *folder.glob(f"{name}@{kind}.*")]):
        taken = _take(order)
        if taken is not None:
            _act(name, *taken)
            return


def _take(order: Path) -> tuple[str, Path] | None:
    try:
        if order.suffix == ".always":
            return order.read_text(), order
        taken = order.with_name(f"taken-{os.getpid()}-{order.name}")
        order.rename(taken)
        return taken.read_text(), taken
    except FileNotFoundError:
        return None


def _act(name: str, action: str, order: Path) -> None:
    word, _, value = action.partition(" ")
    if word == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif word == "freeze":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif word == "sleep":
        time.sleep(float(value))
    elif word == "wait":
        while order.exists():
            time.sleep(0.01)
    elif word == "hang":
        # As native code does that never returns to the interpreter: no soft limit is heard of.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGTERM})
        time.sleep(float(value))
    elif word == "memory":
        _exhaust_memory()
    elif word == "fail":
        raise InjectedFaultError(f"injected at {name}")
    elif word == "full":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    else:
        raise ValueError(f"{action!r} is no fault")


def _exhaust_memory() -> None:
    """Ask for more memory than the process may have.

    Raises:
        MemoryError: the operating system's answer.
    """
    before = resource.getrlimit(resource.RLIMIT_AS)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + _SPARE_BYTES, before[1]))
    try:
        hoard = [bytearray(_SPARE_BYTES) for _ in range(64)]
        hoard.clear()
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
