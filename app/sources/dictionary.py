"""A dictionary in SAELens format, inspected without torch."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.core.digests import sha256_file, sha256_json
from app.core.errors import InvalidInputError
from app.sources.locations import Place, local_directory, place_of
from app.sources.safetensors_header import BadSafetensorsError, read_header

_CONFIG_LIMIT = 1 << 20
CONFIG_FILE, WEIGHTS_FILE = "cfg.json", "sae_weights.safetensors"


@dataclass(frozen=True)
class DictionaryFacts:
    """What the files say of themselves."""

    architecture: str
    d_in: int
    d_sae: int
    digest: str
    site: str | None
    """The hook name that the dictionary was trained at, where its config tells."""


def inspect_dictionary_source(source: str, roots: Sequence[Path]) -> DictionaryFacts | None:
    """Check a dictionary's files; null for a remote source, which a worker will read.

    Raises:
        InvalidInputError: with a stable code, the value, and what to do.
    """
    if place_of(source) is not Place.LOCAL:
        return None
    path = local_directory(source, roots)
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if not (path / name).is_file():
            raise _bad(
                path,
                "dictionary_missing",
                f"it has no {name}; SAE.save_inference_model writes both files",
            )
        if not (path / name).resolve().is_relative_to(path):
            raise _bad(path, "source_outside_roots", f"{name} is a link out of its folder")
    if (path / CONFIG_FILE).stat().st_size > _CONFIG_LIMIT:
        raise _bad(path, "config_invalid", f"{CONFIG_FILE} is larger than 1 MiB")
    try:
        config = json.loads((path / CONFIG_FILE).read_bytes())
        entries = read_header(path / WEIGHTS_FILE)
    except BadSafetensorsError as error:
        raise _bad(path, "weights_damaged", str(error)) from error
    except (ValueError, RecursionError) as error:
        raise _bad(path, "config_invalid", f"{CONFIG_FILE} is not JSON: {error}") from error
    d_in, d_sae = _positive(path, config, "d_in"), _positive(path, config, "d_sae")
    decoder = entries.get("W_dec")
    if decoder is None or decoder.shape[0] != d_sae:
        shape = "missing" if decoder is None else f"of shape {list(decoder.shape)}"
        raise _bad(
            path, "dictionary_inconsistent", f"W_dec is {shape}, but {CONFIG_FILE} says {d_sae=}"
        )
    encoder = entries.get("W_enc")
    if encoder is not None and encoder.shape[:1] != (d_in,):
        raise _bad(
            path,
            "dictionary_inconsistent",
            f"W_enc is of shape {list(encoder.shape)}, but {CONFIG_FILE} says {d_in=}",
        )
    metadata = config.get("metadata")
    site = metadata.get("hook_name") if isinstance(metadata, dict) else None
    site = site or config.get("hook_name")
    digest = sha256_json([sha256_file(path / CONFIG_FILE), sha256_file(path / WEIGHTS_FILE)])
    return DictionaryFacts(
        architecture=str(config.get("architecture", "standard")),
        d_in=d_in,
        d_sae=d_sae,
        digest=digest,
        site=site if isinstance(site, str) else None,
    )


def _positive(path: Path, config: Any, name: str) -> int:
    value = config.get(name) if isinstance(config, dict) else None
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value < 2**31:
        raise _bad(path, "config_invalid", f"{CONFIG_FILE} says {name}={value!r}; expected a count")
    return value


def _bad(path: Path, code: str, what: str) -> InvalidInputError:
    return InvalidInputError(
        f"dictionary {path}: {what}", code=code, field="source", value=str(path)
    )
