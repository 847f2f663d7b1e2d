"""Loading a checkpoint into memory, strictly: every weight present, used and finite."""

import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from app.core.digests import sha256_json
from workers.capture.adapters import merge_adapter
from workers.capture.checkpoints import ResolvedCheckpoint
from workers.capture.isolation import RefusedError, blamed, sealed
from workers.capture.numerics import DTYPES, apply_threads
from workers.errors import EvaluationError
from workers.numerics import Numerics


@dataclass(frozen=True)
class LoadedModel:
    """A base model (no head) in evaluation mode on its device."""

    module: nn.Module
    resolved: ResolvedCheckpoint
    numerics: Numerics
    device: torch.device
    pad_id: int
    """Token id that fills a batch behind its shorter sequences; masked everywhere."""


def load_model(resolved: ResolvedCheckpoint, numerics: Numerics) -> LoadedModel:
    """Load a checkpoint's base model; an adapter is merged into its base.

    Weights are cast to the compute dtype of the numerics, whatever they are stored as.

    Raises:
        EvaluationError: files vanished, weights are missing, left over or not finite, or the
            attention implementation does not exist for this architecture.
    """
    apply_threads(numerics)
    with (
        sealed(resolved.source),
        blamed("weights_mismatch", f"{resolved.path} does not load"),
    ):
        if resolved.base is None:
            module = read_weights(resolved, numerics)
        else:
            module = merge_adapter(resolved, numerics, read_weights)
    module = module.eval().requires_grad_(False)
    _check_finite(module, resolved, numerics)
    device = torch.device(numerics.device)
    config: Any = module.config
    pad = config.get_text_config().pad_token_id
    return LoadedModel(
        module=module.to(device),
        resolved=resolved,
        numerics=numerics,
        device=device,
        pad_id=pad if isinstance(pad, int) and 0 <= pad < resolved.vocabulary else 0,
    )


def read_weights(
    resolved: ResolvedCheckpoint, numerics: Numerics, auto_class: Any = None
) -> nn.Module:
    """Read a folder's weights with transformers and account for every one of them.

    Args:
        auto_class: the transformers factory; by default ``AutoModel``, the model without a head.

    Raises:
        EvaluationError: see `load_model`.
    """
    from transformers import AutoModel
    from transformers.utils import logging

    factory = auto_class or AutoModel
    # transformers prints a table of loose keys and a bar; the keys are judged below.
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        module, report = factory.from_pretrained(
            resolved.path,
            dtype=DTYPES[numerics.dtype],
            attn_implementation=numerics.attn_implementation,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except FileNotFoundError as error:
        raise EvaluationError("source_missing", f"{resolved.path} is gone: {error}") from error
    except OSError as error:
        if not resolved.path.is_dir() or not all(file.exists() for file in resolved.weights):
            raise EvaluationError(
                "source_missing", f"{resolved.path} was deleted or changed after registration"
            ) from error
        raise
    except (ValueError, RuntimeError) as error:
        if isinstance(error, torch.OutOfMemoryError | RefusedError):
            raise
        raise EvaluationError(
            "weights_mismatch", f"{resolved.path} does not load: {str(error).strip()[:500]}"
        ) from error
    finally:
        logging.set_verbosity(verbosity)
    _check_complete(module, report, resolved)
    return module


def _check_complete(
    module: nn.Module, report: dict[str, Any], resolved: ResolvedCheckpoint
) -> None:
    if mismatched := sorted(str(entry) for entry in report["mismatched_keys"]):
        raise EvaluationError(
            "weights_mismatch",
            f"{resolved.path}: {_some(mismatched)} does not have the shape of its config.json",
        )
    prefix = str(getattr(module, "base_model_prefix", ""))
    base = getattr(module, prefix, None) if prefix else None
    body = {name for name, _ in (base if isinstance(base, nn.Module) else module).named_children()}

    def in_body(key: str) -> bool:
        # A pooler reads the blocks' result and no site reads a pooler; heads are dropped.
        part = key.removeprefix(f"{prefix}.").split(".", 1)[0]
        return part in body and not part.startswith("pool")

    if missing := sorted(filter(in_body, report["missing_keys"])):
        raise EvaluationError(
            "weights_missing",
            f"{resolved.path} has no weight for {_some(missing)}; config.json and the weights do "
            "not belong together, or the files are incomplete",
        )
    if left_over := sorted(filter(in_body, report["unexpected_keys"])):
        raise EvaluationError(
            "weights_mismatch",
            f"{resolved.path} has weights that the model of its config.json does not use: "
            f"{_some(left_over)}; is num_hidden_layers right?",
        )


def _check_finite(module: nn.Module, resolved: ResolvedCheckpoint, numerics: Numerics) -> None:
    for name, tensor in module.named_parameters():
        if not torch.isfinite(tensor).all():
            bad = int((~torch.isfinite(tensor)).sum())
            raise EvaluationError(
                "weights_not_finite",
                f"{resolved.path}: {bad} of {tensor.numel()} entries of {name!r} are NaN or "
                f"infinite in {numerics.dtype}; the checkpoint is broken, or needs a wider dtype",
            )


class ModelCache:
    """The models a worker child keeps loaded, least recently used first to go.

    Ten monitors on one checkpoint load it once.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"capacity is {capacity}; keep at least one model")
        self._capacity = capacity
        self._models: OrderedDict[str, LoadedModel] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, resolved: ResolvedCheckpoint, numerics: Numerics) -> LoadedModel:
        """The loaded model, from memory if it is there.

        Raises:
            EvaluationError: as `load_model`.
        """
        key = sha256_json([resolved.digest, numerics.to_json()])
        with self._lock:
            if key in self._models:
                self._models.move_to_end(key)
                apply_threads(numerics)
                return self._models[key]
            # Make room first: two large models at once may not fit.
            while len(self._models) >= self._capacity:
                self._models.popitem(last=False)
            model = load_model(resolved, numerics)
            self._models[key] = model
            return model

    def __len__(self) -> int:
        return len(self._models)


def _some(keys: Iterable[str]) -> str:
    keys = list(keys)
    more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
    return ", ".join(repr(key) for key in keys[:3]) + more
