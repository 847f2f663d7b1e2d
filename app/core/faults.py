"""Named points at which crash tests make a process die, stop, hang or fail.

Without the environment variable `FEATUREDRIFT_FAULTS`, which no setting and no deployment has, a
point costs one comparison. With it, the variable names a folder; a file `<point>.<anything>` there
holds what the next process at that point shall do, and is consumed by it, unless it ends in
`.always`.
"""

import os
import signal
import time
from pathlib import Path

_FOLDER = os.environ.get("FEATUREDRIFT_FAULTS")

POINTS = (
    "after-claim",
    "mid-capture",
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


class InjectedFaultError(Exception):
    """A fault that a test has asked for."""


def fault_point(name: str) -> None:
    """Do here what a test has asked for; in production, nothing."""
    if _FOLDER is None:
        return
    for order in sorted(Path(_FOLDER).glob(f"{name}.*")):
        action = _take(order)
        if action is not None:
            _act(name, action)
            return


def _take(order: Path) -> str | None:
    try:
        if order.suffix == ".always":
            return order.read_text()
        taken = order.with_name(f"taken-{os.getpid()}-{order.name}")
        order.rename(taken)
        return taken.read_text()
    except FileNotFoundError:
        return None


def _act(name: str, action: str) -> None:
    word, _, value = action.partition(" ")
    if word == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif word == "freeze":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif word == "sleep":
        time.sleep(float(value))
    elif word == "terminate-parent":
        os.kill(os.getppid(), signal.SIGTERM)
    elif word == "fail":
        raise InjectedFaultError(f"injected at {name}")
    elif word == "full":
        raise OSError(28, "No space left on device")
    else:
        raise ValueError(f"{action!r} is no fault")
