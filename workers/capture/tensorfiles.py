"""Digests of weights, taken tensor by tensor."""

import hashlib
import json
import struct
from collections.abc import Sequence
from pathlib import Path

from app.core.digests import sha256_json
from app.sources.safetensors_header import BadSafetensorsError, read_header
from workers.errors import EvaluationError

_CHUNK = 1 << 22


def weights_digest(files: Sequence[Path]) -> str:
    """One digest for the tensors of some safetensors files.

    Taken over each tensor's name, type, shape and bytes, so that sharding, the order in the file
    and its metadata do not change what a checkpoint is.

    Raises:
        EvaluationError: a file is damaged or missing, or two files hold the same tensor.
    """
    digests: dict[str, str] = {}
    for path in files:
        try:
            _digest_file(path, digests)
        except FileNotFoundError:
            raise EvaluationError("source_missing", f"{path} was deleted meanwhile") from None
        except BadSafetensorsError as error:
            raise EvaluationError("weights_damaged", f"{path.parent}: {error}") from error
    return sha256_json(digests)


def _digest_file(path: Path, digests: dict[str, str]) -> None:
    read_header(path)
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        for name in sorted(header, key=lambda name: header[name]["data_offsets"]):
            if name in digests:
                raise BadSafetensorsError(f"{path.name} and another file both hold {name!r}")
            entry = header[name]
            begin, end = entry["data_offsets"]
            digest = hashlib.sha256(json.dumps([entry["dtype"], entry["shape"]]).encode())
            file.seek(8 + length + begin)
            left = end - begin
            while left:
                chunk = file.read(min(_CHUNK, left))
                if not chunk:
                    raise BadSafetensorsError(f"{path.name} became shorter while it was read")
                digest.update(chunk)
                left -= len(chunk)
            digests[name] = digest.hexdigest()
