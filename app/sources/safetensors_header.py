"""The header of a safetensors file, read without loading a tensor.

The layout (8 bytes little-endian header length, JSON header, data) is that of the safetensors
format specification; the header limit is the one its reference implementation enforces.
"""

import json
import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path

MAX_HEADER_BYTES = 100_000_000
_BITS = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
}


class BadSafetensorsError(ValueError):
    """The file is not a whole safetensors file; the message says why."""


@dataclass(frozen=True)
class TensorEntry:
    """One tensor of the file."""

    dtype: str
    shape: tuple[int, ...]


def read_header(path: Path) -> dict[str, TensorEntry]:
    """The tensors of a file, after checking that the file is whole.

    Raises:
        BadSafetensorsError: truncated, padded, overlapping or not safetensors at all.
        OSError: the file cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        prefix = file.read(8)
        if len(prefix) < 8:
            raise BadSafetensorsError(f"{path.name} has {size} bytes, too few for a header")
        (length,) = struct.unpack("<Q", prefix)
        if length > MAX_HEADER_BYTES or 8 + length > size:
            raise BadSafetensorsError(
                f"{path.name} is truncated or no safetensors file: its header claims {length} "
                f"bytes, the file has {size}"
            )
        raw = file.read(length)
    try:
        header = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise BadSafetensorsError(f"{path.name} has a header that is not JSON: {error}") from error
    if not isinstance(header, dict):
        raise BadSafetensorsError(f"{path.name} has a header that is no JSON object")
    header.pop("__metadata__", None)
    entries: dict[str, TensorEntry] = {}
    spans: list[tuple[int, int]] = []
    for name, entry in header.items():
        try:
            start, stop = (int(offset) for offset in entry["data_offsets"])
            tensor = TensorEntry(str(entry["dtype"]), tuple(int(n) for n in entry["shape"]))
        except (KeyError, OverflowError, TypeError, ValueError) as error:
            raise BadSafetensorsError(f"{path.name}: bad entry for tensor {name!r}") from error
        bits = _BITS.get(tensor.dtype)
        if bits is not None and prod(tensor.shape) * bits != (stop - start) * 8:
            raise BadSafetensorsError(
                f"{path.name}: tensor {name!r} of shape {list(tensor.shape)} and type "
                f"{tensor.dtype} does not fit its {stop - start} bytes"
            )
        spans.append((start, stop))
        entries[name] = tensor
    position = 0
    for start, stop in sorted(spans):
        if start != position or stop < start:
            raise BadSafetensorsError(f"{path.name}: its tensors overlap or leave a gap")
        position = stop
    if 8 + length + position != size:
        raise BadSafetensorsError(
            f"{path.name} is truncated or padded: {8 + length + position} bytes expected, "
            f"{size} found; copy it again"
        )
    return entries
