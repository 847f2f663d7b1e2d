"""A checkpoint, resolved: where its files lie, what identifies it, and how large it is."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.core.digests import sha256_json
from app.sources.checkpoint import CheckpointFiles, inspect_checkpoint
from app.sources.locations import Place, place_of
from app.sources.safetensors_header import read_header
from workers.capture.identity import adapter_digest, config_digest, tokenizer_digest
from workers.capture.isolation import blamed, sealed
from workers.capture.sources import as_evaluation_error, locate
from workers.capture.tensorfiles import weights_digest
from workers.errors import EvaluationError


@dataclass(frozen=True)
class ResolvedCheckpoint:
    """A checkpoint on this machine, checked and identified, but not yet loaded."""

    source: str
    path: Path
    """The folder with the weights (of an adapter: the adapter's)."""
    commit: str | None
    """The commit sha that a hub revision stood for."""
    weights_digest: str
    """Over every tensor's name, type, shape and bytes; of an adapter, over its base too."""
    config_digest: str
    """Over the configuration that changes activations: norms, positions, attention, sizes."""
    tokenizer_digest: str
    """Over what the tokenizer does to a text; chat templates and padding do not count."""
    context_length: int
    """The longest sequence, in tokens."""
    width: int
    """Width of the residual stream."""
    layers: int
    vocabulary: int
    """Rows of the token embedding."""
    architecture: str
    """The `model_type` of the configuration, such as ``llama``."""
    weights: tuple[Path, ...] = ()
    base: "ResolvedCheckpoint | None" = field(default=None, repr=False)
    """For a PEFT adapter, the checkpoint that it sits on."""
    tokenizer_path: Path | None = None
    """The folder that the tokenizer is loaded from."""

    @property
    def digest(self) -> str:
        """What the checkpoint computes: weights and configuration in one digest."""
        return sha256_json({"weights": self.weights_digest, "config": self.config_digest})

    def load_tokenizer(self) -> Any:
        """The tokenizer that tokens of this checkpoint are made with, always a fast one.

        Raises:
            EvaluationError: it cannot be loaded, or has no character offsets.
        """
        with sealed(self.source):
            return _load_tokenizer(self.tokenizer_path or self.path)


def resolve_checkpoint(
    source: str,
    revision: str | None,
    *,
    roots: Sequence[Path],
    cache: Path,
    allow_hub: bool = False,
) -> ResolvedCheckpoint:
    """Find, check and identify a checkpoint; a PEFT adapter together with its base.

    Args:
        source: an absolute path, a ``file://`` or object-store URI, or a hub id.
        revision: of a hub id: a branch, tag or commit, resolved to a commit sha.
        roots: folders that local sources must lie under.
        cache: folder for downloads.
        allow_hub: whether hub ids may be fetched.

    Raises:
        EvaluationError: with the reason, naming the file or value, and what to do.
    """
    path, commit = locate(source, revision, roots=roots, cache=cache, allow_hub=allow_hub)
    try:
        with as_evaluation_error():
            files = inspect_checkpoint(path, [*roots, cache.resolve()])
        if files.adapter_base is None:
            with sealed(source), blamed("config_invalid", f"{path} makes no sense"):
                return _full(source, commit, files)
        _check_base(source, files.adapter_base)
        place, base_commit = locate(
            files.adapter_base,
            files.config.get("revision") or None,
            roots=roots,
            cache=cache,
            allow_hub=allow_hub,
        )
        with as_evaluation_error():
            base_files = inspect_checkpoint(place, [*roots, cache.resolve()])
        if base_files.adapter_base is not None:
            raise EvaluationError(
                "adapter_unsupported",
                f"{path} sits on {files.adapter_base!r}, which is itself an adapter; merge that "
                "one into its base first",
            )
        with sealed(source), blamed("config_invalid", f"{path} makes no sense"):
            base = _full(files.adapter_base, base_commit, base_files)
            return _adapter(source, commit, files, base)
    except FileNotFoundError as error:
        raise EvaluationError(
            "source_missing", f"{source!r}: {error.filename} was deleted meanwhile"
        ) from error


def _check_base(source: str, base: str) -> None:
    """An adapter's own configuration says where its base is: it leads to no other store."""
    with as_evaluation_error():
        place, kind = place_of(base), place_of(source)
    if place is Place.REMOTE and kind is not Place.REMOTE:
        raise EvaluationError(
            "adapter_base_elsewhere",
            f"{source!r} says that its base is {base!r}, in an object store; give the adapter a "
            "local base, or put it into the store too",
        )


def _full(source: str, commit: str | None, files: CheckpointFiles) -> ResolvedCheckpoint:
    weights = _loaded_files(files)
    config = load_config(files.path)
    if config.is_encoder_decoder:
        raise EvaluationError(
            "architecture_unsupported",
            f"{files.path}: model type {config.model_type!r} is an encoder-decoder; decoders and "
            "encoders are supported",
        )
    text = config.get_text_config()
    tokenizer = _load_tokenizer(files.path)
    try:
        width, layers = int(text.hidden_size), int(text.num_hidden_layers)
    except (AttributeError, TypeError):
        raise EvaluationError(
            "architecture_unsupported",
            f"{files.path}: model type {config.model_type!r} is no transformer with blocks",
        ) from None
    tensors = sum(len(read_header(file)) for file in weights)
    if layers > tensors:
        # Blocks are built before a weight is read: a number alone must not take all memory.
        raise EvaluationError(
            "config_invalid",
            f"{files.path}: config.json says {layers} layers, but there are {tensors} tensors",
        )
    return ResolvedCheckpoint(
        source=source,
        path=files.path,
        commit=commit,
        weights_digest=weights_digest(weights),
        config_digest=config_digest(config),
        tokenizer_digest=tokenizer_digest(tokenizer),
        context_length=_context_length(text, tokenizer),
        width=width,
        layers=layers,
        vocabulary=int(text.vocab_size),
        architecture=str(config.model_type),
        weights=weights,
        tokenizer_path=files.path,
    )


def _adapter(
    source: str, commit: str | None, files: CheckpointFiles, base: ResolvedCheckpoint
) -> ResolvedCheckpoint:
    own = [file for file in files.weights if file.name == "adapter_model.safetensors"]
    if not own:
        raise EvaluationError(
            "weights_missing", f"{files.path} has no adapter_model.safetensors beside its config"
        )
    # An adapter may bring its own tokenizer (added tokens); most leave it to the base.
    brings_tokenizer = (files.path / "tokenizer.json").is_file()
    return ResolvedCheckpoint(
        source=source,
        path=files.path,
        commit=commit,
        weights_digest=sha256_json([base.weights_digest, weights_digest(own)]),
        config_digest=sha256_json([base.config_digest, adapter_digest(files.config)]),
        tokenizer_digest=(
            tokenizer_digest(_load_tokenizer(files.path))
            if brings_tokenizer
            else base.tokenizer_digest
        ),
        context_length=base.context_length,
        width=base.width,
        layers=base.layers,
        vocabulary=base.vocabulary,
        architecture=base.architecture,
        weights=tuple(own),
        base=base,
        tokenizer_path=files.path if brings_tokenizer else base.tokenizer_path,
    )


def _loaded_files(files: CheckpointFiles) -> tuple[Path, ...]:
    """The weight files that transformers reads, in its order of preference."""
    single = files.path / "model.safetensors"
    if single.is_file():
        return (single,)
    index = files.path / "model.safetensors.index.json"
    if not index.is_file():
        raise EvaluationError(
            "weights_missing",
            f"{files.path} has neither model.safetensors nor model.safetensors.index.json; found "
            f"{', '.join(file.name for file in files.weights[:5])}",
        )
    names = sorted({str(name) for name in json.loads(index.read_bytes())["weight_map"].values()})
    return tuple(files.path / name for name in names)


def load_config(path: Path) -> Any:
    """The transformers configuration of a folder.

    Raises:
        EvaluationError: the library does not know the model type or rejects the configuration, or
            the folder was deleted meanwhile.
    """
    from transformers import AutoConfig

    if not (path / "config.json").is_file():
        raise EvaluationError("source_missing", f"{path} was deleted after registration")
    with blamed("config_invalid", f"{path / 'config.json'} is not accepted by transformers"):
        return AutoConfig.from_pretrained(path, local_files_only=True, trust_remote_code=False)


def _load_tokenizer(path: Path) -> Any:
    from transformers import AutoTokenizer

    unusable = f"{path} has no tokenizer that transformers can load"
    try:
        with blamed("tokenizer_missing", unusable):
            tokenizer = AutoTokenizer.from_pretrained(
                path, local_files_only=True, trust_remote_code=False, use_fast=True
            )
    except (OSError, ImportError) as error:
        raise EvaluationError("tokenizer_missing", f"{unusable}: {_first_line(error)}") from error
    if not getattr(tokenizer, "is_fast", False):
        raise EvaluationError(
            "tokenizer_unsupported",
            f"{path} has a {type(tokenizer).__name__} without character offsets; save it as a "
            "fast tokenizer (tokenizer.json)",
        )
    return tokenizer


def _context_length(config: Any, tokenizer: Any) -> int:
    length = int(getattr(config, "max_position_embeddings", None) or 1 << 20)
    if config.model_type in _OFFSET_POSITIONS:
        length -= int(config.pad_token_id) + 1
    # Tokenizers without a limit say 1e30.
    limit = tokenizer.model_max_length
    return min(length, int(limit)) if limit and limit < 1 << 30 else length


_OFFSET_POSITIONS = frozenset({"roberta", "xlm-roberta", "camembert", "xlm-roberta-xl", "mpnet"})
"""Families whose learned positions start behind the padding index (Liu et al. 2019)."""


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0][:300]
