"""Vectors of a `.safetensors` file, without numpy: the files are small, the numbers go into JSON.

Of the format (an 8-byte length, a JSON header, then the numbers, little-endian) nothing can run.
"""

import json
import struct
import sys
from array import array
from dataclasses import dataclass
from math import isfinite, prod
from pathlib import Path
from typing import Any

from app.imports.errors import refuse, size_of
from app.sources.safetensors_header import BadSafetensorsError, read_header

MAX_FILE_BYTES = 512 << 20

_SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}


@dataclass(frozen=True)
class Tensor:
    """One tensor: its shape, and its numbers row by row."""

    shape: tuple[int, ...]
    values: tuple[float, ...]

    def rows(self) -> list[tuple[float, ...]]:
        """The rows of a matrix."""
        width = self.shape[-1]
        return [self.values[i : i + width] for i in range(0, len(self.values), width)]


@dataclass(frozen=True)
class TensorFile:
    """All tensors of a file, in its order, and its metadata."""

    path: Path
    tensors: dict[str, Tensor]
    metadata: dict[str, str]


def read_tensors(path: Path) -> TensorFile:
    """Read a file whole.

    Raises:
        ImportRefusedError: it is damaged or too large, or holds other than finite real numbers.
    """
    if size_of(path) > MAX_FILE_BYTES:
        refuse(path, f"has over {MAX_FILE_BYTES >> 20} MiB; save the vectors alone, not a model")
    try:
        entries = read_header(path)
    except BadSafetensorsError as error:
        refuse(path, f"is no whole .safetensors file: {error}")
    if not entries:
        refuse(path, "holds no tensor")
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    metadata = header.pop("__metadata__", None) or {}
    if not isinstance(metadata, dict):
        refuse(path, "has metadata that is no JSON object")
    tensors = {}
    for name, entry in entries.items():
        if entry.dtype not in _SIZES:
            refuse(
                path,
                f"tensor {name!r} has type {entry.dtype}; save it as float32 (also read: "
                f"{', '.join(_SIZES)})",
            )
        start, stop = header[name]["data_offsets"]
        values = _decode(entry.dtype, data[start:stop])
        if prod(entry.shape) == 0:
            refuse(path, f"tensor {name!r} of shape {list(entry.shape)} is empty")
        for position, value in enumerate(values):
            if not isfinite(value):
                refuse(path, f"tensor {name!r}: entry {position} is {value}; it must be finite")
        tensors[name] = Tensor(entry.shape, values)
    return TensorFile(path, tensors, {str(k): str(v) for k, v in metadata.items()})


def json_of(path: Path, metadata: dict[str, str], key: str) -> Any:
    """A value that stands in the metadata as JSON; None when it is not there.

    Raises:
        ImportRefusedError: it is not JSON.
    """
    if key not in metadata:
        return None
    try:
        return json.loads(metadata[key])
    except (ValueError, RecursionError):
        refuse(path, f"metadata {key!r} is not JSON: {metadata[key][:80]!r}")


def _decode(dtype: str, data: bytes) -> tuple[float, ...]:
    if dtype == "F16":
        return struct.unpack(f"<{len(data) // 2}e", data)
    if dtype == "BF16":
        # The upper half of a float32.
        data = b"".join(b"\0\0" + data[i : i + 2] for i in range(0, len(data), 2))
    numbers = array("d" if dtype == "F64" else "f", data)
    if sys.byteorder == "big":
        numbers.byteswap()
    return tuple(numbers)
