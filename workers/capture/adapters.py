"""PEFT adapters: merged into their base, every adapter weight accounted for."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from workers.capture.checkpoints import ResolvedCheckpoint
from workers.errors import EvaluationError
from workers.numerics import Numerics

ReadWeights = Callable[..., nn.Module]


def merge_adapter(
    resolved: ResolvedCheckpoint, numerics: Numerics, read_weights: ReadWeights
) -> nn.Module:
    """Load an adapter's base, add the adapter, and return the base model without a head.

    An adapter names the modules of the class that it was trained on, so a causal language model is
    put under it first where the adapter says so; its head is then dropped.

    Raises:
        EvaluationError: the adapter's kind cannot be merged, or its weights do not fit the base.
    """
    from peft import PeftConfig, get_peft_model
    from peft.utils import set_peft_model_state_dict
    from safetensors.torch import load_file

    base = resolved.base
    if base is None:
        raise ValueError(f"{resolved.path} is no adapter")
    try:
        config = PeftConfig.from_pretrained(str(resolved.path), local_files_only=True)
    except (ValueError, KeyError, TypeError) as error:
        raise EvaluationError(
            "adapter_invalid", f"{resolved.path / 'adapter_config.json'}: {error}"
        ) from error
    config.inference_mode = True
    state = load_file(str(resolved.weights[0]))
    causal = config.task_type == "CAUSAL_LM" or _names_a_causal_model(state, base)
    under = _read_base(base, numerics, read_weights, causal=causal)
    try:
        adapted: Any = get_peft_model(under, config)
        outcome: Any = set_peft_model_state_dict(adapted, state)
    except (ValueError, RuntimeError) as error:
        raise EvaluationError(
            "adapter_invalid",
            f"{resolved.path} does not fit its base {base.path}: {str(error)[:500]}",
        ) from error
    marker = config.peft_type.lower() if isinstance(config.peft_type, str) else "lora"
    absent = [
        key for key in outcome.missing_keys if f"{marker}_" in key or "modules_to_save" in key
    ]
    loose = list(outcome.unexpected_keys)
    if absent or loose:
        raise EvaluationError(
            "adapter_invalid",
            f"{resolved.path} does not fit its base {base.path}: "
            + (f"no weight for {absent[0]!r}" if absent else f"nothing to take {loose[0]!r}"),
        )
    if not hasattr(adapted.base_model, "merge_and_unload"):
        raise EvaluationError(
            "adapter_unsupported",
            f"{resolved.path}: a {config.peft_type} adapter cannot be merged into weights",
        )
    merged = adapted.base_model.merge_and_unload()
    return _without_head(merged)


def _names_a_causal_model(state: Mapping[str, object], base: ResolvedCheckpoint) -> bool:
    """Whether the weights' names carry the prefix that a causal model puts before its body.

    PEFT writes no task type unless it is told one, and `base_model.model.model.layers…` (Llama
    under its head) against `base_model.model.layers…` (the body alone) is all there is to go by.
    """
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoConfig

    config = AutoConfig.from_pretrained(str(base.path), local_files_only=True)
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        return False
    prefix = getattr(MODEL_FOR_CAUSAL_LM_MAPPING[type(config)], "base_model_prefix", "")
    return bool(prefix) and any(key.startswith(f"base_model.model.{prefix}.") for key in state)


def _read_base(
    base: ResolvedCheckpoint, numerics: Numerics, read_weights: ReadWeights, *, causal: bool
) -> nn.Module:
    if causal:
        from transformers import AutoModelForCausalLM

        return read_weights(base, numerics, AutoModelForCausalLM)
    return read_weights(base, numerics)


def _without_head(model: Any) -> nn.Module:
    prefix = getattr(model, "base_model_prefix", "")
    inner = getattr(model, prefix, None) if prefix else None
    return inner if isinstance(inner, nn.Module) else model
