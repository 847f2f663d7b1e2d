"""Which processes run for a data directory: a file that outlives the supervisor.

The watchdog and the next `featuredrift up` read it to end what a killed supervisor left behind.
A process is named by its id and the moment of its creation, so that an id which the system has
given to something else is never signalled.
"""

import json
import os
import signal
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import psutil

from app.embedded.children import Child, end_group

_FILE = "processes.json"


def write_record(data_dir: Path, children: Iterable[Child]) -> None:
    """Record the living children, in the order in which they were started."""
    entries = [
        {
            "name": child.spec.name,
            "pid": child.pid,
            "created": _created(child.pid),
            "stop_signal": child.spec.stop_signal.name,
            "grace": child.spec.grace,
        }
        for child in children
        if child.running()
    ]
    target = data_dir / _FILE
    temporary = target.with_suffix(".tmp")
    temporary.write_text(json.dumps(entries, indent=1))
    temporary.replace(target)


def end_recorded(data_dir: Path) -> list[str]:
    """End every recorded process that still lives, the last started first.

    Returns:
        the names of those that had to be ended.
    """
    target = data_dir / _FILE
    try:
        entries = json.loads(target.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return []
    ended = []
    for entry in reversed(entries):
        if entry["pid"] == os.getpid() or not _alive(entry["pid"], entry["created"]):
            continue
        end_group(
            entry["pid"],
            alive=partial(_alive, entry["pid"], entry["created"]),
            stop_signal=signal.Signals[entry["stop_signal"]],
            grace=entry["grace"],
        )
        ended.append(entry["name"])
    target.unlink(missing_ok=True)
    return ended


def _created(pid: int) -> float | None:
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return None


def _alive(pid: int, created: float | None) -> bool:
    try:
        process = psutil.Process(pid)
        return process.create_time() == created and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
