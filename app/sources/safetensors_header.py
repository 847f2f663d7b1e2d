"""The header of a safetensors file, read without loading a tensor.

The layout (8 bytes little-endian header length, JSON header, data) is that of the safetensors
format specification. Its reference implementation reads headers of 100 MB; parsed, such a one takes
gigabytes, so the limit is the lower one of the Hugging Face hub.
"""

import json
import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path

MAX_HEADER_BYTES = 25_000_000
MAX_PARTS = 2_000_000
"""Lists, objects and keys of a header: that of a tensor has six, and takes a hundred bytes."""
_MAX_DIMENSIONS = 64
_MAX_COUNT = 2**63
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
        if length > MAX_HEADER_BYTES:
            raise BadSafetensorsError(
                f"{path.name} is no safetensors file, or an odd one: its header claims {length} "
                f"bytes; at most {MAX_HEADER_BYTES} are read"
            )
        if 8 + length > size:
            raise BadSafetensorsError(
                f"{path.name} is truncated or no safetensors file: its header claims {length} "
                f"bytes, the file has {size}"
            )
        raw = file.read(length)
    if sum(map(raw.count, (b"[", b"{", b":"))) > MAX_PARTS:
        raise BadSafetensorsError(
            f"{path.name} has a header of over {MAX_PARTS} lists, objects and keys: too many"
        )
    try:
        header = json.loads(raw, object_pairs_hook=_distinct)
    except (ValueError, RecursionError) as error:
        raise BadSafetensorsError(f"{path.name} has a header that is not JSON: {error}") from error
    if not isinstance(header, dict):
        raise BadSafetensorsError(f"{path.name} has a header that is no JSON object")
    header.pop("__metadata__", None)
    entries: dict[str, TensorEntry] = {}
    spans: list[tuple[int, int]] = []
    for name, entry in header.items():
        try:
            start, stop = _counts(entry["data_offsets"])
            tensor = TensorEntry(str(entry["dtype"]), _counts(entry["shape"]))
        except (KeyError, TypeError, ValueError) as error:
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


def _counts(values: object) -> tuple[int, ...]:
    """A few whole numbers of at most 63 bits: what a shape or a span is made of."""
    if not isinstance(values, list) or len(values) > _MAX_DIMENSIONS:
        raise TypeError(f"{values!r} is no short list")
    for value in values:
        if type(value) is not int or not 0 <= value < _MAX_COUNT:
            raise ValueError(f"{value!r} is no count")
    return tuple(values)


def _distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object whose keys are distinct: of two tensors under one name, readers take either."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands in it twice")
    return found
