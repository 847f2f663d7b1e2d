"""The artifact store: content-addressed files behind fsspec, written whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import fsspec
from fsspec.implementations.local import LocalFileSystem

from app.core.ids import new_id


class ArtifactStore:
    """Files by key (`corpora/<digest>/documents.jsonl`) under one fsspec URL.

    Args:
        url: `file:///…`, `s3://bucket/prefix`, or anything else that fsspec knows.
        cache: where `local_path` keeps copies of remote files.
    """

    def __init__(self, url: str, cache: Path | None = None) -> None:
        self._fs, self._root = fsspec.core.url_to_fs(url)
        self._local = isinstance(self._fs, LocalFileSystem)
        self._cache = cache or Path(tempfile.gettempdir()) / "featuredrift-artifacts"

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

        Keys are content-addressed, so that a cached copy never goes stale.

        Raises:
            FileNotFoundError: nothing is stored there.
        """
        path = self._path(key)
        if self._local:
            if not Path(path).is_file():
                raise FileNotFoundError(path)
            return Path(path)
        target = self._cache / key
        if not target.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = target.with_name(f".{target.name}.{new_id().hex}.tmp")
            try:
                self._fs.get_file(path, str(temporary))
                temporary.replace(target)
            finally:
                temporary.unlink(missing_ok=True)
        return target

    def list_keys(self, prefix: str) -> Iterator[str]:
        """All keys under a prefix (a folder), in order."""
        root = self._root.rstrip("/")
        try:
            found = self._fs.find(self._path(prefix))
        except FileNotFoundError:
            return
        for path in sorted(found):
            yield str(path)[len(root) + 1 :]

    def delete_prefix(self, prefix: str) -> None:
        """Remove all keys under a prefix; nothing there is fine."""
        path = self._path(prefix)
        if self._fs.exists(path):
            self._fs.rm(path, recursive=True)
        if not self._local:
            shutil.rmtree(self._cache / prefix, ignore_errors=True)
