"""A checkpoint directory, inspected without torch: whole, safe, and of a kind we can load."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.core.errors import InvalidInputError
from app.sources.locations import Place, check_under_roots, local_directory, place_of
from app.sources.safetensors_header import BadSafetensorsError, read_header

PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_CONFIG_LIMIT = 16 << 20
_NAMED_FILES = frozenset({"tokenizer_file", "vocab_file", "merges_file", "spm_file"})
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")


@dataclass(frozen=True)
class CheckpointFiles:
    """A directory that passed inspection."""

    path: Path
    weights: tuple[Path, ...]
    """The safetensors files, sorted by name."""
    config: dict[str, Any]
    """`config.json`, or `adapter_config.json` of an adapter."""
    adapter_base: str | None
    """For a PEFT adapter: the source of the model that it sits on."""


def inspect_checkpoint_source(source: str, roots: Sequence[Path], *, allow_hub: bool) -> None:
    """All that can be said of a source before a worker reads it.

    Raises:
        InvalidInputError: with a stable code, the value, and what to do.
    """
    place = place_of(source)
    if place is Place.LOCAL:
        inspect_checkpoint(local_directory(source, roots), roots)
    elif place is Place.HUB and not allow_hub:
        raise InvalidInputError(
            f"{source!r} is on the Hugging Face hub, which is not allowed here; set "
            "FEATUREDRIFT_ALLOW_HUB=true or give a local copy",
            code="hub_not_allowed",
            field="source",
            value=source,
        )


def inspect_checkpoint(path: Path, roots: Sequence[Path]) -> CheckpointFiles:
    """Check a resolved directory: links, formats, remote code, whole files, tokenizer.

    Raises:
        InvalidInputError: naming the file and what to do.
    """
    for file in sorted(path.iterdir()):
        if file.is_symlink():
            check_under_roots(file.resolve(), roots, str(file))
        if file.exists() and not (file.is_file() or file.is_dir()):
            # Whoever opens a pipe waits until somebody writes into it.
            raise _bad(path, "source_unsupported", f"{file.name} is neither a file nor a folder")
    adapter = (path / "adapter_config.json").is_file()
    config = _read_config(path / ("adapter_config.json" if adapter else "config.json"))
    _refuse_remote_code(path, config)
    _refuse_files_elsewhere(path)
    weights = _weights(path)
    if adapter:
        base = config.get("base_model_name_or_path")
        if not isinstance(base, str) or not base:
            raise _bad(path, "adapter_base_missing", "adapter_config.json names no base model")
        _whole(weights)
        return CheckpointFiles(path, weights, config, base)
    _whole(weights)
    if not any((path / name).is_file() for name in TOKENIZER_FILES):
        raise _bad(
            path,
            "tokenizer_missing",
            "it has no tokenizer files; save the tokenizer beside the weights "
            "(tokenizer.save_pretrained)",
        )
    return CheckpointFiles(path, weights, config, None)


def _read_config(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise _bad(path.parent, "config_missing", f"it has no {path.name}")
    if path.stat().st_size > _CONFIG_LIMIT:
        raise _bad(path.parent, "config_invalid", f"{path.name} is larger than 16 MiB")
    try:
        config = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise _bad(path.parent, "config_invalid", f"{path.name} is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise _bad(path.parent, "config_invalid", f"{path.name} is no JSON object")
    return config


def _refuse_remote_code(path: Path, config: dict[str, Any]) -> None:
    configs = {"config": config}
    if (path / "tokenizer_config.json").is_file():
        configs["tokenizer_config"] = _read_config(path / "tokenizer_config.json")
    for name, content in configs.items():
        if _names_code(content):
            raise _bad(
                path,
                "remote_code_refused",
                f"{name}.json has an auto_map, so loading it would run code that came with the "
                "checkpoint (trust_remote_code); only architectures of the transformers library "
                "are loaded",
            )


def _names_code(value: Any) -> bool:
    """Whether a configuration, or a part of it, has an `auto_map`."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            if item.get("auto_map"):
                return True
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
    return False


def _refuse_files_elsewhere(path: Path) -> None:
    """A tokenizer's configuration may name its files; those are looked for in the folder alone."""
    if not (path / "tokenizer_config.json").is_file():
        return
    config = _read_config(path / "tokenizer_config.json")
    for key, value in config.items():
        if key not in _NAMED_FILES or not isinstance(value, str):
            continue
        # Old releases wrote where they had read a file from; beside the file itself it is ignored.
        named = Path(value)
        if len(named.parts) > 1 and not (path / named.name).is_file():
            raise _bad(
                path,
                "tokenizer_outside",
                f"tokenizer_config.json names {key} {value!r}, outside the checkpoint's folder; "
                "save the tokenizer anew (tokenizer.save_pretrained)",
            )


def _weights(path: Path) -> tuple[Path, ...]:
    found = tuple(sorted(path.glob("*.safetensors")))
    if not found:
        pickles = sorted(f.name for f in path.iterdir() if f.suffix in PICKLE_SUFFIXES)
        if pickles:
            raise _bad(
                path,
                "pickle_refused",
                f"its weights are pickles ({', '.join(pickles[:5])}), which can run code when "
                "loaded; save them with save_pretrained(safe_serialization=True)",
            )
        raise _bad(
            path, "weights_missing", "it has no .safetensors file; model.save_pretrained writes one"
        )
    index = path / "model.safetensors.index.json"
    if index.is_file():
        listed = _read_config(index).get("weight_map")
        if not isinstance(listed, dict):
            raise _bad(path, "config_invalid", f"{index.name} has no weight_map")
        names = {str(name) for name in listed.values()}
        missing = sorted(names - {file.name for file in found})
        if missing:
            raise _bad(
                path, "weights_missing", f"{index.name} lists {missing[0]!r}, which is not there"
            )
    return found


def _whole(weights: Sequence[Path]) -> None:
    for file in weights:
        try:
            read_header(file)
        except BadSafetensorsError as error:
            raise _bad(file.parent, "weights_damaged", str(error)) from error


def _bad(path: Path, code: str, what: str) -> InvalidInputError:
    return InvalidInputError(
        f"checkpoint {path}: {what}", code=code, field="source", value=str(path)
    )
