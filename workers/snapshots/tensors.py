"""A safetensors file as memory-mapped arrays: nothing is copied until it is read."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DTYPES = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U8": np.uint8,
    "BOOL": np.bool_,
}


def open_tensors(path: Path) -> dict[str, NDArray[Any]]:
    """All tensors of a safetensors file, mapped read-only.

    `safetensors.safe_open` copies each tensor into memory for numpy; a snapshot must not be.

    Raises:
        ValueError: the file is truncated or no safetensors file.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        prefix = file.read(8)
        (header_size,) = struct.unpack("<Q", prefix) if len(prefix) == 8 else (size,)
        if 8 + header_size > size:
            raise ValueError(f"{path.name} is truncated: its header does not fit in {size} bytes")
        header = json.loads(file.read(header_size))
    header.pop("__metadata__", None)
    data = np.memmap(path, np.uint8, "r", 8 + header_size) if size > 8 + header_size else b""
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        if 8 + header_size + end > size:
            raise ValueError(f"{path.name} is truncated: {name} ends past {size} bytes")
        dtype = np.dtype(_DTYPES[entry["dtype"]])
        tensors[name] = np.frombuffer(data[begin:end], dtype).reshape(entry["shape"])
    return tensors
