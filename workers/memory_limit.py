"""A limit on a child's memory: a checkpoint that asks for too much fails, and its host lives on."""

import resource
from pathlib import Path

import psutil

from app.settings import Settings

_CGROUP = Path("/sys/fs/cgroup/memory.max")
_ACCELERATORS = (Path("/dev/nvidiactl"), Path("/dev/kfd"))


def limit_memory(settings: Settings) -> int | None:
    """Bound what this process may allocate; the bytes, or None where nothing is bound.

    Without a setting it is what the machine or its container has. Drivers of accelerators map far
    more than that without using it, so beside one only a limit that was set is put in force.
    """
    size = settings.child_memory_bytes
    if not size:
        if settings.device != "cpu" and any(path.exists() for path in _ACCELERATORS):
            return None
        size = available()
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        size = min(size, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (size, hard))
    return size


def available(cgroup: Path = _CGROUP) -> int:
    """Bytes of memory of this machine, or of the container if that has less."""
    total = int(psutil.virtual_memory().total)
    try:
        return min(total, int(cgroup.read_text()))
    except (OSError, ValueError):
        # No such file, or "max".
        return total
