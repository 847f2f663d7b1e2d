"""A checkpoint together with its language head, or the reason why it has none to measure with."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from workers.capture.adapters import merge_adapter
from workers.capture.checkpoints import ResolvedCheckpoint, load_config
from workers.capture.loading import LoadedModel, read_weights
from workers.capture.numerics import apply_threads
from workers.errors import EvaluationError
from workers.numerics import Numerics


class NoLanguageHeadError(EvaluationError):
    """The checkpoint predicts no next token, so that no feature's effect on it can be measured."""

    def __init__(self, detail: str) -> None:
        super().__init__("language_head_missing", detail)


@dataclass(frozen=True)
class ModelWithHead:
    """A causal language model in evaluation mode on its device."""

    module: nn.Module
    """With its head; called with token ids it gives an output with `logits`."""
    head: nn.Module
    """The module whose input is one vector per token and whose output is the logits."""
    base: LoadedModel
    """The same model without the head: the module that site names are bound to."""


def load_with_head(resolved: ResolvedCheckpoint, numerics: Numerics) -> ModelWithHead:
    """Load a checkpoint with its language head; an adapter is merged into its base.

    Raises:
        NoLanguageHeadError: an encoder, or a checkpoint saved without its head.
        EvaluationError: as `load_model`.
    """
    apply_threads(numerics)
    full = resolved.base or resolved
    _check_predicts_next(full)
    recorder = _Recorder()
    if resolved.base is None:
        read_weights(resolved, numerics, recorder)
        recorder.head(full)
    else:
        _merge(resolved, full, numerics, recorder)
    module = recorder.module
    # Merging may put another module in the head's place.
    head = module.get_output_embeddings()
    module = module.eval().requires_grad_(False)
    device = torch.device(numerics.device)
    module = module.to(device)
    pad = module.config.get_text_config().pad_token_id
    base = LoadedModel(
        module=_body(module),
        resolved=resolved,
        numerics=numerics,
        device=device,
        pad_id=pad if isinstance(pad, int) and 0 <= pad < resolved.vocabulary else 0,
    )
    return ModelWithHead(module, head, base)


def _check_predicts_next(full: ResolvedCheckpoint) -> None:
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_MASKED_LM_MAPPING

    config = load_config(full.path)
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise NoLanguageHeadError(
            f"model type {config.model_type!r} has no causal language model in transformers"
        )
    # A masked language model sees the next token; its loss there says nothing.
    decodes = getattr(config, "is_decoder", False) or getattr(config, "causal", False)
    if type(config) in MODEL_FOR_MASKED_LM_MAPPING and not decodes:
        raise NoLanguageHeadError(
            f"model type {config.model_type!r} is an encoder: it attends to the tokens that a "
            "language head would have to predict"
        )


class _Recorder:
    """AutoModelForCausalLM for `read_weights`, keeping what it made and what it had no weight for.

    Names in the files may be older than those of the modules, so that only the loader can tell.
    """

    def __init__(self) -> None:
        self.module: Any = None
        self._missing: frozenset[str] = frozenset()

    def from_pretrained(self, *args: Any, **options: Any) -> tuple[Any, dict[str, Any]]:
        from transformers import AutoModelForCausalLM

        loaded: Any = AutoModelForCausalLM.from_pretrained(*args, **options)
        self.module, report = loaded
        self._missing = frozenset(map(str, report["missing_keys"]))
        return self.module, report

    def head(self, full: ResolvedCheckpoint) -> nn.Module:
        """The module that gives the logits, with weights from the files or tied to the embedding.

        transformers fills a missing head with random numbers.
        """
        module = self.module
        head = module.get_output_embeddings()
        if not isinstance(head, nn.Module):
            raise NoLanguageHeadError(
                f"{type(module).__name__} has no module that gives its logits"
            )
        path = next(name for name, found in module.named_modules() if found is head)
        shared = {tensor.data_ptr() for tensor in module.get_input_embeddings().parameters()}
        for name, tensor in head.named_parameters():
            if f"{path}.{name}" in self._missing and tensor.data_ptr() not in shared:
                raise NoLanguageHeadError(
                    f"{full.path} was saved without its language head ({path}.{name})"
                )
        return head


def _merge(
    resolved: ResolvedCheckpoint,
    full: ResolvedCheckpoint,
    numerics: Numerics,
    recorder: _Recorder,
) -> None:
    """Merge an adapter in place into a base that keeps its head.

    `merge_adapter` gives the body alone; the head stays with the module that was read for it.
    """

    def read(base: ResolvedCheckpoint, chosen: Numerics, auto_class: Any = None) -> nn.Module:
        module = read_weights(base, chosen, recorder)
        recorder.head(full)
        # Without a factory, the adapter's names begin at the body.
        return _body(module) if auto_class is None else module

    if merge_adapter(resolved, numerics, read) is not _body(recorder.module):
        raise EvaluationError(
            "adapter_unsupported",
            f"{resolved.path}: merging replaced the body of its base, and the head was lost with "
            "it; merge the adapter into its base and register the result",
        )


def _body(module: Any) -> nn.Module:
    inner = getattr(module, getattr(module, "base_model_prefix", "") or "", None)
    return inner if isinstance(inner, nn.Module) else module
