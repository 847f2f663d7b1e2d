"""Tiny random models of each family, saved as real checkpoints with a real tokenizer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    BertConfig,
    Gemma2Config,
    Gemma3TextConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
)

WIDTH, LAYERS, HEADS, CONTEXT, VOCABULARY = 16, 3, 4, 64, 300

TEXTS = (
    "def add(first, second):\n    return first + second  # the sum\n",
    "import os\nimport sys\n\nNAMES = ['alpha', 'beta', \"gamma\"]\n",
    "class Point:\n    x = 0\n    y = 1.5\n\n    def norm(self):\n        return self.x + self.y\n",
    "Ünïcode näïve 漢字 🙂 text, with words of several bytes.",
    "short",
    "while True:\n    break\n" * 12,
)

_DECODER: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "intermediate_size": 24,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "max_position_embeddings": CONTEXT,
    "pad_token_id": 0,
    "bos_token_id": 0,
    "eos_token_id": 0,
}
_GROUPED: dict[str, Any] = {**_DECODER, "num_key_value_heads": 2}
# Heads whose total width is not the residual width, as in Gemma and Qwen 3.
_WIDE_HEADS: dict[str, Any] = {**_GROUPED, "head_dim": 8}

CONFIGS: dict[str, Any] = {
    "gpt2": lambda: GPT2Config(
        vocab_size=VOCABULARY,
        n_embd=WIDTH,
        n_layer=LAYERS,
        n_head=HEADS,
        n_positions=CONTEXT,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
    ),
    "llama": lambda: LlamaConfig(**_GROUPED),
    "gpt_neox": lambda: GPTNeoXConfig(**_DECODER),
    "mistral": lambda: MistralConfig(**_GROUPED, sliding_window=16),
    "qwen2": lambda: Qwen2Config(**_GROUPED),
    "qwen3": lambda: Qwen3Config(**_WIDE_HEADS),
    "gemma2": lambda: Gemma2Config(**_WIDE_HEADS, query_pre_attn_scalar=8, sliding_window=16),
    "gemma3": lambda: Gemma3TextConfig(**_WIDE_HEADS, query_pre_attn_scalar=8, sliding_window=16),
    "bert": lambda: BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=24,
        max_position_embeddings=CONTEXT,
        pad_token_id=0,
    ),
}
DECODERS = tuple(family for family in CONFIGS if family != "bert")


def train_tokenizer(texts: Sequence[str] = TEXTS, *, encoder: bool = False) -> Any:
    """A byte-level BPE trained on the spot; for an encoder with CLS and SEP around each text."""
    special = ["<|endoftext|>", "[CLS]", "[SEP]", "[UNK]"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=VOCABULARY,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer.post_processor = (
        processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
        )
        if encoder
        else processors.ByteLevel(trim_offsets=False)
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|endoftext|>",
        eos_token="<|endoftext|>",
        cls_token="[CLS]" if encoder else None,
        sep_token="[SEP]" if encoder else None,
    )


def random_model(family: str, seed: int = 0) -> Any:
    """A random model with its head, with weights large enough that every part matters."""
    torch.manual_seed(seed)
    factory = AutoModelForMaskedLM if family == "bert" else AutoModelForCausalLM
    model = factory.from_config(CONFIGS[family]()).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.25)
            elif "bias" in name:
                parameter.normal_(std=0.1)
    return model


def save_checkpoint(folder: Path, family: str = "llama", seed: int = 0, **options: Any) -> Path:
    """Save a random model and its tokenizer as `save_pretrained` does; returns the folder."""
    random_model(family, seed).save_pretrained(folder, **options)
    train_tokenizer(encoder=family == "bert").save_pretrained(folder)
    return folder
