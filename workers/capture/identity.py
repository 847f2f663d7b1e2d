"""What makes two checkpoints the same: digests of what they do, not of how it is written down."""

import json
from collections.abc import Mapping
from typing import Any

from app.core.digests import sha256_bytes, sha256_json

# Entries of a configuration that change no activation at inference: names, provenance, training,
# heads, generation. Everything else is part of what the checkpoint computes.
_IDLE_CONFIG = frozenset(
    {
        "_attn_implementation",
        "_attn_implementation_autoset",
        "_attn_implementation_internal",
        "_name_or_path",
        "architectures",
        "attention_dropout",
        "attention_probs_dropout_prob",
        "attn_implementation",
        "attn_pdrop",
        "bos_token_id",
        "chunk_size_feed_forward",
        "classifier_dropout",
        "decoder_start_token_id",
        "dtype",
        "embd_pdrop",
        "eos_token_id",
        "final_logit_softcapping",
        "finetuning_task",
        "gradient_checkpointing",
        "hidden_dropout",
        "hidden_dropout_prob",
        "id2label",
        "initializer_range",
        "is_encoder_decoder",
        "label2id",
        "num_labels",
        "output_attentions",
        "output_hidden_states",
        "prefix",
        "pretraining_tp",
        "problem_type",
        "resid_pdrop",
        "return_dict",
        "sep_token_id",
        "summary_activation",
        "summary_first_dropout",
        "summary_proj_to_labels",
        "summary_type",
        "summary_use_proj",
        "task_specific_params",
        "tie_word_embeddings",
        "tokenizer_class",
        "torch_dtype",
        "transformers_version",
        "use_cache",
    }
)
_ADAPTER_FUNCTION = (
    "peft_type",
    "r",
    "lora_alpha",
    "use_rslora",
    "use_dora",
    "target_modules",
    "rank_pattern",
    "alpha_pattern",
    "bias",
    "fan_in_fan_out",
    "layers_to_transform",
    "layers_pattern",
    "modules_to_save",
    "task_type",
)


def config_digest(config: Any) -> str:
    """The digest of a transformers configuration, defaults filled in, without idle entries."""
    return sha256_json(_functional(config.to_dict()))


def adapter_digest(config: Mapping[str, Any]) -> str:
    """The digest of what an ``adapter_config.json`` says about how the adapter is applied."""
    function = {name: config.get(name) for name in _ADAPTER_FUNCTION}
    if isinstance(function["target_modules"], list):
        function["target_modules"] = sorted(function["target_modules"])
    return sha256_json(function)


def tokenizer_digest(tokenizer: Any) -> str:
    """What the tokenizer does: its compiled pipeline, without truncation and padding.

    Taken from the loaded tokenizer rather than from its files, because the same tokenizer is
    written in different files by different library versions.
    """
    pipeline = json.loads(tokenizer.backend_tokenizer.to_str())
    pipeline.pop("truncation", None)
    pipeline.pop("padding", None)
    return sha256_bytes(json.dumps(pipeline, sort_keys=True).encode())


def _functional(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration without what changes no activation, nested configurations included."""
    return {
        str(name): _functional(value) if isinstance(value, dict) else _plain(value)
        for name, value in config.items()
        if name not in _IDLE_CONFIG
    }


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        # 10000 and 10000.0 are the same rope base, written by different versions.
        return int(value) if value.is_integer() else str(value)
    return value if value is None or isinstance(value, bool | int | str) else str(value)
