"""The demo's language model: tokenizer and weights, really trained on the spot.

A Llama-type decoder (Touvron et al. 2023) with tied embeddings. Hidden matrices are trained with
Muon (Jordan et al. 2024), which needs about half of AdamW's tokens at this size; embeddings and
norms with AdamW.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from workers.demo.recipe import Recipe

END_OF_TEXT = "<|endoftext|>"

_IGNORED = -100

Advance = Callable[[int], None]
"""Told the number of units (tokens) just finished."""


def train_tokenizer(texts: Iterable[str], recipe: Recipe) -> PreTrainedTokenizerFast:
    """A byte-level BPE of `recipe.vocabulary` entries, GPT-2's pre-tokenization.

    No special token is added to a document: windows start anywhere in training, so they may start
    anywhere when activations are captured.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=recipe.vocabulary,
            special_tokens=[END_OF_TEXT],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END_OF_TEXT,
        pad_token=END_OF_TEXT,
        model_max_length=recipe.context,
    )


def new_model(recipe: Recipe, seed: int) -> LlamaForCausalLM:
    """Fresh float32 weights, scaled down where they write to the residual stream (GPT-2's rule)."""
    torch.manual_seed(seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=recipe.vocabulary,
            hidden_size=recipe.width,
            intermediate_size=recipe.mlp_width,
            num_hidden_layers=recipe.layers,
            num_attention_heads=recipe.heads,
            num_key_value_heads=recipe.heads,
            max_position_embeddings=recipe.context,
            tie_word_embeddings=True,
            initializer_range=0.02,
            bos_token_id=0,
            eos_token_id=0,
            pad_token_id=0,
        )
    )
    with torch.no_grad():
        for layer in model.model.layers:
            for writer in (layer.self_attn.o_proj, layer.mlp.down_proj):
                writer.weight /= math.sqrt(2 * recipe.layers)
    return model


def windows(
    tokenizer: PreTrainedTokenizerFast, texts: Iterable[str], recipe: Recipe
) -> torch.Tensor:
    """All texts as one stream cut into windows: int64 [windows, context]."""
    encodings = tokenizer.backend_tokenizer.encode_batch(list(texts))
    end = tokenizer.eos_token_id
    stream = torch.tensor([i for encoding in encodings for i in (*encoding.ids, end)])
    usable = len(stream) // recipe.context * recipe.context
    return stream[:usable].view(-1, recipe.context)


def batches(rows: torch.Tensor, size: int, seed: int) -> Iterator[torch.Tensor]:
    """Batches of `size` rows without end, in a new order at each pass over the rows."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        order = torch.randperm(len(rows), generator=generator)
        for start in range(0, len(rows) - size + 1, size):
            yield rows[order[start : start + size]]


def train(
    model: LlamaForCausalLM,
    rows: torch.Tensor,
    recipe: Recipe,
    *,
    steps: int,
    seed: int,
    peak: float = 1.0,
    advance: Advance,
) -> float:
    """Train in place under bfloat16 autocast.

    Args:
        model: float32 weights.
        rows: token windows, int64 [windows, context].
        recipe: learning rates and batch size.
        steps: optimizer steps.
        seed: order of the windows.
        peak: factor on both learning rates; they warm up over 5% and fall linearly to a tenth.
        advance: told the tokens of each step.

    Returns:
        The mean loss over the last tenth of the steps, in nats a token.
    """
    optimizers = _optimizers(model, recipe)
    rates = [[group["lr"] * peak for group in o.param_groups] for o in optimizers]
    losses: list[float] = []
    stream = batches(rows, min(recipe.batch_windows, len(rows)), seed)
    model.train()
    for step in range(steps):
        factor = min((step + 1) / max(1, steps // 20), 1 - 0.9 * step / steps)
        for optimizer, base in zip(optimizers, rates, strict=True):
            for group, rate in zip(optimizer.param_groups, base, strict=True):
                group["lr"] = rate * factor
        ids = next(stream)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(input_ids=ids, use_cache=False).logits
        # bfloat16 logits, unsliced: a float32 copy of them would cost a fifth of the step.
        targets = torch.nn.functional.pad(ids[:, 1:], (0, 1), value=_IGNORED)
        loss = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), targets.flatten(), ignore_index=_IGNORED
        )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
        advance(ids.numel())
    model.eval()
    last = losses[-max(1, steps // 10) :]
    return sum(last) / len(last)


def _optimizers(model: LlamaForCausalLM, recipe: Recipe) -> list[torch.optim.Optimizer]:
    hidden = [p for p in model.model.layers.parameters() if p.ndim == 2]
    ids = {id(p) for p in hidden}
    rest = [p for p in model.parameters() if id(p) not in ids]
    muon = torch.optim.Muon(hidden, lr=recipe.muon_learning_rate, weight_decay=0.0)
    adam = torch.optim.AdamW(
        rest, lr=recipe.learning_rate, betas=(0.9, 0.95), weight_decay=0.0, fused=True
    )
    return [muon, adam]


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """A Hugging Face checkpoint: config, safetensors, tokenizer."""
    model.save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)


def load(folder: Path, dtype: torch.dtype = torch.float32) -> LlamaForCausalLM:
    """The checkpoint's weights for further training or surgery, in evaluation mode."""
    model: Any = LlamaForCausalLM.from_pretrained(folder, dtype=dtype)
    return model.eval()


def load_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The checkpoint's tokenizer."""
    tokenizer: Any = PreTrainedTokenizerFast.from_pretrained(folder)
    return tokenizer
