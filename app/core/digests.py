"""Digests: one way to turn a value into the name of its content."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_CHUNK = 1 << 20


def canonical_json(value: Any) -> bytes:
    """The one byte string for a JSON value: sorted keys, no spaces, UTF-8, no NaN.

    Raises:
        ValueError: the value holds NaN or an infinity, which JSON cannot carry.
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def sha256_bytes(data: bytes) -> str:
    """The SHA-256 of some bytes, 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_json(value: Any) -> str:
    """The SHA-256 of a value's canonical JSON, 64 hexadecimal digits."""
    return sha256_bytes(canonical_json(value))


def sha256_chunks(chunks: Iterable[bytes]) -> str:
    """The SHA-256 of a stream, 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def sha256_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, read in pieces, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return sha256_chunks(iter(lambda: file.read(_CHUNK), b""))
