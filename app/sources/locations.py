"""Which kind of place a source names, and whether a local one may be read."""

import re
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from urllib.parse import unquote, urlsplit

from app.core.errors import InvalidInputError


class Place(Enum):
    """The kinds of sources."""

    LOCAL = "local"
    REMOTE = "remote"
    """An fsspec URI such as `s3://bucket/prefix`."""
    HUB = "hub"
    """A Hugging Face hub id: `hf://owner/name`, or plain `owner/name`."""


_HUB_ID = re.compile(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+")
_REMOTE_SCHEMES = ("s3", "gs", "gcs", "abfs", "az")


def place_of(source: str) -> Place:
    """The kind of a source.

    Raises:
        InvalidInputError: neither an absolute path, nor a URI of a known scheme, nor a hub id.
    """
    if "::" in source:
        # fsspec reads it as a chain of filesystems, of which only the first would be looked at.
        raise InvalidInputError(
            f"{source!r} contains '::', which chains filesystems; give one plain path or URI",
            code="source_unsupported",
            field="source",
            value=source,
        )
    scheme = urlsplit(source).scheme if "://" in source else ""
    if source.startswith("/") or scheme == "file":
        return Place.LOCAL
    if scheme in _REMOTE_SCHEMES:
        return Place.REMOTE
    if scheme == "hf":
        return Place.HUB
    parts = source.split("/")
    if _HUB_ID.fullmatch(source) and all(part.strip(".") for part in parts):
        return Place.HUB
    raise InvalidInputError(
        f"{source!r} is no source; give an absolute path, a file:// or s3:// URI, or hf://owner/name",
        code="source_unsupported",
        field="source",
        value=source,
    )


def local_directory(source: str, roots: Sequence[Path]) -> Path:
    """The directory that a local source names, with every link resolved.

    Raises:
        InvalidInputError: it lies outside the allowed roots, or there is no such directory.
    """
    raw = unquote(urlsplit(source).path) if source.startswith("file://") else source
    if ".." in Path(raw).parts:
        raise InvalidInputError(
            f"{source!r} contains '..'; give the plain path",
            code="source_outside_roots",
            field="source",
            value=source,
        )
    if "\0" in raw:
        raise InvalidInputError(
            "the source contains a NUL character",
            code="source_unsupported",
            field="source",
            value=source,
        )
    path = Path(raw).resolve()
    check_under_roots(path, roots, source)
    if not path.is_dir():
        raise InvalidInputError(
            f"there is no directory {raw}; it must be readable by the API and by every worker",
            code="source_missing",
            field="source",
            value=source,
        )
    return path


def check_under_roots(path: Path, roots: Sequence[Path], source: str) -> None:
    """Refuse a resolved path outside all allowed roots.

    Raises:
        InvalidInputError: naming the source and the setting to change.
    """
    if not any(path.is_relative_to(root.resolve()) for root in roots):
        allowed = ", ".join(str(root) for root in roots) or "(none)"
        raise InvalidInputError(
            f"{source!r} leads to {path}, outside the allowed roots ({allowed}); move it there or "
            "extend FEATUREDRIFT_MODEL_ROOTS",
            code="source_outside_roots",
            field="source",
            value=source,
        )
