"""PEFT adapters: merged into their base, every adapter weight accounted for."""

from collections.abc import Callable
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
    under = _read_base(base, numerics, read_weights, config.task_type)
    try:
        adapted: Any = get_peft_model(under, config)
        state = load_file(str(resolved.weights[0]))
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


def _read_base(
    base: ResolvedCheckpoint, numerics: Numerics, read_weights: ReadWeights, task: str | None
) -> nn.Module:
    if task == "CAUSAL_LM":
        from transformers import AutoModelForCausalLM

        return read_weights(base, numerics, AutoModelForCausalLM)
    return read_weights(base, numerics)


def _without_head(model: Any) -> nn.Module:
    prefix = getattr(model, "base_model_prefix", "")
    inner = getattr(model, prefix, None) if prefix else None
    return inner if isinstance(inner, nn.Module) else model
