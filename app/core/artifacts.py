"""The artifact store: content-addressed files behind fsspec, written whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TypeVar

import fsspec
from fsspec.implementations.local import LocalFileSystem

from app.core.faults import fault_point
from app.core.file_cache import FileCache
from app.core.ids import new_id

T = TypeVar("T")


@dataclass(frozen=True)
class StoredObject:
    """A file of the store: its key, its size in bytes, and when it was last written."""

    key: str
    size: int
    modified: datetime


class ArtifactStore:
    """Files by key (`corpora/<digest>/documents.jsonl`) under one fsspec URL.

    Args:
        url: `file:///…`, `s3://bucket/prefix`, or anything else that fsspec knows.
        cache: where `local_path` keeps copies of remote files.
        cache_bytes: how much they may take together; 0 for no limit.
    """

    def __init__(self, url: str, cache: Path | None = None, cache_bytes: int = 0) -> None:
        self._fs, self._root = fsspec.core.url_to_fs(url)
        self._local = isinstance(self._fs, LocalFileSystem)
        self._cache = cache or Path(tempfile.gettempdir()) / "featuredrift-artifacts"
        self._copies = FileCache(self._cache, cache_bytes)

    def _path(self, key: str) -> str:
        parts = PurePosixPath(key).parts
        if not parts or key.startswith("/") or ".." in parts:
            raise ValueError(f"{key!r} is no artifact key; it must be a relative path without '..'")
        return f"{self._root.rstrip('/')}/{key}"

    def write_bytes(self, key: str, data: bytes) -> None:
        """Store data under a key, replacing what was there.

        Locally: a temporary name, fsync, then rename, so that a reader sees all of it or nothing.
        Object stores give the same by themselves: an object appears when its upload is complete.

        Raises:
            OSError: the store is full or unwritable.
        """
        path = self._path(key)
        if not self._local:
            self._fs.pipe_file(path, data)
            return
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{new_id().hex}.tmp")
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            fault_point("mid-write")
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)

    def read_bytes(self, key: str) -> bytes:
        """The bytes under a key.

        Raises:
            FileNotFoundError: nothing is stored there.
        """
        return bytes(self._fs.cat_file(self._path(key)))

    def exists(self, key: str) -> bool:
        """Whether something is stored under the key."""
        return bool(self._fs.exists(self._path(key)))

    def local_path(self, key: str) -> Path:
        """A file on this machine with the content: the file itself, or a cached download.

        Keys are content-addressed, so that a cached copy never goes stale. It may be removed once
        it was not asked for in `file_cache.GRACE`: `read_local` is for what may take longer.

        Raises:
            FileNotFoundError: nothing is stored there.
        """
        path = self._path(key)
        if self._local:
            if not Path(path).is_file():
                raise FileNotFoundError(path)
            return Path(path)
        return self._copies.get(key, lambda copy: self._fs.get_file(path, str(copy)))

    def read_local(self, key: str, read: Callable[[Path], T]) -> T:
        """What `read` makes of the file; asked a second time if a cached copy is gone meanwhile.

        Raises:
            FileNotFoundError: nothing is stored there; and whatever `read` raises.
        """
        path = self.local_path(key)
        try:
            return read(path)
        except FileNotFoundError:
            if self._local or path.exists():
                raise
        return read(self.local_path(key))

    def list_keys(self, prefix: str) -> Iterator[str]:
        """All keys under a prefix (a folder), in order."""
        root = self._root.rstrip("/")
        try:
            found = self._fs.find(self._path(prefix))
        except FileNotFoundError:
            return
        for path in sorted(found):
            yield str(path)[len(root) + 1 :]

    def objects(self, prefix: str) -> list[StoredObject]:
        """All files under a prefix (a folder), by key, as they are now and not as last listed."""
        root, path = self._root.rstrip("/"), self._path(prefix)
        self._fs.invalidate_cache(path)
        try:
            found = self._fs.find(path, detail=True)
        except FileNotFoundError:
            return []
        finally:
            # A listing that is remembered would hide what others write and delete.
            self._fs.invalidate_cache(path)
        return [
            StoredObject(str(name)[len(root) + 1 :], int(entry["size"] or 0), _modified(entry))
            for name, entry in sorted(found.items())
            # Object stores list by prefix: a neighbour's name may begin with this one.
            if f"{str(name)[len(root) + 1 :]}/".startswith(f"{prefix.rstrip('/')}/")
        ]

    def delete_keys(self, keys: Iterable[str]) -> None:
        """Remove some files, and locally the folders that this leaves empty; none there is fine."""
        paths = {key: self._path(key) for key in keys}
        if self._local:
            for key, path in paths.items():
                Path(path).unlink(missing_ok=True)
                _remove_empty(Path(path).parent, levels=len(PurePosixPath(key).parts) - 2)
            return
        for key in paths:
            (self._cache / key).unlink(missing_ok=True)
        if paths:
            # S3 answers for a key that is not there as for one that was.
            self._fs.rm(list(paths.values()))
            for path in paths.values():
                self._fs.invalidate_cache(path)

    def delete_prefix(self, prefix: str) -> None:
        """Remove all keys under a prefix; nothing there is fine."""
        path = self._path(prefix)
        if self._fs.exists(path):
            self._fs.rm(path, recursive=True)
        if not self._local:
            shutil.rmtree(self._cache / prefix, ignore_errors=True)


def _modified(entry: dict[str, object]) -> datetime:
    """When a listed file was written, by whatever name its filesystem calls it; else now."""
    for name in ("mtime", "LastModified", "last_modified", "updated"):
        value = entry.get(name)
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value, UTC)
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        if isinstance(value, datetime):
            return value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    return datetime.now(UTC)


def _remove_empty(folder: Path, levels: int) -> None:
    for _ in range(levels):
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent
