"""Where bytes lie: the artifact store, the data directory, the roots of local models."""

import os
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from app.cli.doctor.finding import Finding, Status, first_line
from app.core.artifacts import ArtifactStore
from app.core.ids import new_id
from app.settings import Settings, redact

_GIB = 1 << 30
_UNWRITABLE = "%s cannot be written; workers keep copies of remote files there"
SPACE_WARN, SPACE_FAIL = 10 * _GIB, 1 * _GIB


def check_artifacts(settings: Settings) -> Iterator[Finding]:
    """Write, read and delete a probe."""
    place = redact(settings.artifacts)
    prefix = f"doctor/{new_id().hex}"
    step = "open"
    try:
        store = ArtifactStore(settings.artifacts)
        step = "write to"
        store.write_bytes(f"{prefix}/probe", prefix.encode())
        step = "read from"
        if store.read_bytes(f"{prefix}/probe") != prefix.encode():
            raise OSError("it holds other bytes than were written")
        step = "delete from"
        store.delete_prefix(prefix)
    # Each file system of fsspec has errors of its own; whatever it is, it is told.
    except Exception as error:  # noqa: BLE001
        yield Finding(
            "artifact store",
            "fail",
            f"cannot {step} {place}: {type(error).__name__}: {first_line(error)}",
            "set FEATUREDRIFT_ARTIFACT_URL to a store that this process may write, with its "
            "credentials and its fsspec package (for s3://: featuredrift[s3])",
        )
    else:
        yield Finding("artifact store", "ok", f"{place}: a probe was written, read and deleted")


def check_data_dir(settings: Settings) -> Iterator[Finding]:
    """There, writable, with space left."""
    folder = settings.data_dir.resolve()
    advice = "set FEATUREDRIFT_DATA_DIR to a folder that this user may write"
    there = _nearest(folder)
    if not there.is_dir():
        yield Finding("data directory", "fail", f"{there} is no folder", advice)
        return
    if not os.access(there, os.W_OK | os.X_OK):
        # Artifacts are looked at by themselves; what else lies here is a worker's.
        works = find_spec("torch") is not None
        yield Finding("data directory", "fail" if works else "warn", _UNWRITABLE % there, advice)
        return
    free = shutil.disk_usage(there).free
    missing = "" if there == folder else " (not made yet)"
    yield judge_space(f"{folder}{missing}", free)


def judge_space(place: str, free: int) -> Finding:
    """The finding for `free` bytes."""
    seen = f"{place}: {free / _GIB:.1f} GiB free"
    advice = "free space, or collect snapshots that nothing needs (docs/retention.md)"
    if free < SPACE_FAIL:
        return Finding("data directory", "fail", seen, advice)
    if free < SPACE_WARN:
        return Finding("data directory", "warn", seen, advice)
    return Finding("data directory", "ok", seen)


def check_model_roots(settings: Settings) -> Iterator[Finding]:
    """Each is a folder that can be read."""
    advice = "make it, mount it, or set FEATUREDRIFT_MODEL_ROOTS to where the checkpoints lie"
    for root in settings.allowed_roots:
        # The default one is made when somebody puts a checkpoint there.
        if not root.is_dir():
            lacking: Status = "fail" if settings.model_roots else "warn"
            yield Finding("model root", lacking, f"{root} is no folder", advice)
        elif not os.access(root, os.R_OK | os.X_OK):
            yield Finding("model root", "fail", f"{root} cannot be read", advice)
        else:
            yield Finding("model root", "ok", f"{root} can be read")


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest thing above that exists."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder
