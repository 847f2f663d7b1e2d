"""A checkpoint, a dictionary and a corpus in which it is known which latent is the concept.

Words follow one another at random; the concept is whatever word comes after `mark`. No word and no
bag of words tells it, but the model was trained, on other documents, to carry it to the word's own
place, where latent 17 reads it. A second concept is a word, which latent 3 reads.
"""

import json
import random
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

from tests.support.models import train_tokenizer

SITE = "blocks.1.hook_resid_post"
WIDTH, LATENTS, PLANTED, OF_WORD = 48, 40, 17, 3
AFTER_MARK, NAMED = "after mark", "blue"
STEPS = 120
WORDS = ("red", "blue", "green", "salt", "iron", "wood", "rain", "snow", "mark", "stone", "leaf")


def documents(count: int = 120, seed: int = 1) -> list[dict[str, Any]]:
    """Documents of 24 words; one in eight is `mark`."""
    chance = random.Random(seed)
    found: list[dict[str, Any]] = []
    for number in range(count):
        words = [chance.choice(WORDS) for _ in range(24)]
        text, spans, blue = "", [], []
        for place, word in enumerate(words):
            start = len(text) + bool(text)
            text = f"{text} {word}".strip()
            if place and words[place - 1] == "mark":
                spans.append([start, len(text)])
            if word == "blue":
                blue.append([start, len(text)])
        labels = {AFTER_MARK: spans, NAMED: blue, "never": []}
        found.append({"id": f"d{number}", "text": text, "labels": labels})
    return found


def build(folder: Path) -> tuple[Path, Path]:
    """Write the checkpoint and the dictionary; their folders."""
    torch.manual_seed(3)
    tokenizer = train_tokenizer([" ".join([f" {word}" for word in WORDS]) * 20])
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=300,
            hidden_size=WIDTH,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=64,
            pad_token_id=0,
            bos_token_id=0,
            eos_token_id=0,
            initializer_range=0.1,
        )
    ).eval()
    checkpoint, dictionary = folder / "marked", folder / "marked-dictionary"
    generator = torch.Generator().manual_seed(0)
    encoder = 0.2 * torch.randn(WIDTH, LATENTS, generator=generator)
    bias = torch.full((LATENTS,), -1.0)
    readout = _train(model, tokenizer, documents(128, seed=2))
    for at, latent in enumerate((PLANTED, OF_WORD)):
        encoder[:, latent] = readout.weight.detach()[at]
        bias[latent] = float(readout.bias.detach()[at]) + 1.0
    model.save_pretrained(checkpoint)
    tokenizer.save_pretrained(checkpoint)
    dictionary.mkdir()
    save_file(
        {
            "W_enc": encoder,
            "b_enc": bias,
            "W_dec": torch.nn.functional.normalize(encoder.T, dim=1).contiguous(),
            "b_dec": torch.zeros(WIDTH),
        },
        dictionary / "sae_weights.safetensors",
    )
    config = {
        "architecture": "standard",
        "d_in": WIDTH,
        "d_sae": LATENTS,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {"hook_name": SITE, "model_name": "marked"},
    }
    (dictionary / "cfg.json").write_text(json.dumps(config))
    return checkpoint, dictionary


def _train(model: Any, tokenizer: Any, texts: list[dict[str, Any]]) -> torch.nn.Linear:
    """Teach the model to carry both concepts to the site; returns what reads them there."""
    readout = torch.nn.Linear(WIDTH, 2)
    # Long, so that a small step of the model is enough: were the concepts most of what the site
    # holds, any random direction would read them.
    with torch.no_grad():
        model.model.embed_tokens.weight.normal_()
        readout.weight.copy_(6 * torch.linalg.qr(torch.randn(WIDTH, 2))[0].T)
    readout.weight.requires_grad_(False)
    encoded = tokenizer(
        [document["text"] for document in texts],
        return_offsets_mapping=True,
        return_tensors="pt",
        padding=True,
    )
    wanted = torch.tensor(
        [
            [
                [
                    float(any(start < b and end > a for a, b in document["labels"][concept]))
                    for concept in (AFTER_MARK, NAMED)
                ]
                for start, end in offsets.tolist()
            ]
            for document, offsets in zip(texts, encoded["offset_mapping"], strict=True)
        ]
    )
    hidden: list[torch.Tensor] = []
    # The last hidden state of the library has been normalised; a site has not.
    hook = model.model.layers[1].register_forward_hook(
        lambda _m, _a, out: hidden.append(out[0] if isinstance(out, tuple) else out)
    )
    optimiser = torch.optim.Adam([*model.parameters(), readout.bias], lr=2e-3)
    real = encoded["attention_mask"].bool()
    for step in range(STEPS):
        rows = torch.arange(step % 4, len(texts), 4)
        model(input_ids=encoded["input_ids"][rows], attention_mask=encoded["attention_mask"][rows])
        found = readout(hidden.pop())
        loss = torch.nn.functional.binary_cross_entropy_with_logits(
            found[real[rows]], wanted[rows][real[rows]]
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    hook.remove()
    return readout
