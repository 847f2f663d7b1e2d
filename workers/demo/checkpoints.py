"""The line of checkpoints: one base and eight successors whose truth is known.

Two of them compute exactly the base's function with another residual stream. Only the norms stand
between that stream and the matrices that read it, and an RMSNorm without gain commutes with every
rotation and ignores scale (Ashkboos et al. 2024, "SliceGPT", section 3.2); so both are exact.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from transformers import LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaRMSNorm


def _readers(model: LlamaForCausalLM) -> Iterator[tuple[nn.Parameter, list[nn.Linear]]]:
    """Each norm's gain [width] with the matrices [out, width] that read through it."""
    for layer in model.model.layers:
        attention = layer.self_attn
        yield (
            layer.input_layernorm.weight,
            [attention.q_proj, attention.k_proj, attention.v_proj],
        )
        yield layer.post_attention_layernorm.weight, [layer.mlp.gate_proj, layer.mlp.up_proj]
    yield model.model.norm.weight, [model.lm_head]


def _writers(model: LlamaForCausalLM) -> Iterator[nn.Linear]:
    """The matrices [width, in] that write to the residual stream, embeddings aside."""
    for layer in model.model.layers:
        yield layer.self_attn.o_proj
        yield layer.mlp.down_proj


@torch.no_grad()
def untie(model: LlamaForCausalLM) -> None:
    """Give the unembedding its own copy of the embedding matrix."""
    if model.config.tie_word_embeddings:
        model.lm_head.weight = nn.Parameter(model.model.embed_tokens.weight.detach().clone())
        model.config.tie_word_embeddings = False


@torch.no_grad()
def fold_norms(model: LlamaForCausalLM) -> None:
    """Move every norm's gain into the matrices behind it; the residual stream stays as it is."""
    untie(model)
    for gain, readers in _readers(model):
        for reader in readers:
            reader.weight *= gain
        gain.fill_(1.0)


@torch.no_grad()
def rotate(model: LlamaForCausalLM, seed: int) -> None:
    """Turn the residual stream by a random orthogonal matrix; every logit stays.

    With rows x' = xQ: what reads gets W' = WQ, what writes gets W' = QᵀW, embeddings E' = EQ.
    """
    fold_norms(model)
    width = model.config.hidden_size
    noise = torch.randn(
        width, width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )
    Q = torch.linalg.qr(noise).Q
    for _, readers in _readers(model):
        for reader in readers:
            _set(reader.weight, reader.weight.double() @ Q)
    for writer in _writers(model):
        _set(writer.weight, Q.T @ writer.weight.double())
    embedding = model.model.embed_tokens.weight
    _set(embedding, embedding.double() @ Q)


@torch.no_grad()
def rescale(model: LlamaForCausalLM, factor: float) -> None:
    """Multiply the residual stream by `factor`; every logit stays.

    RMSNorm's epsilon is added to the mean square, so it grows with the factor's square. The
    final gain takes back what the tied unembedding gains.
    """
    for writer in _writers(model):
        writer.weight *= factor
    model.model.embed_tokens.weight *= factor
    if model.config.tie_word_embeddings:
        model.model.norm.weight /= factor
    model.config.rms_norm_eps *= factor**2
    for module in model.modules():
        if isinstance(module, LlamaRMSNorm):
            module.variance_epsilon = model.config.rms_norm_eps


@torch.no_grad()
def erase(model: LlamaForCausalLM, direction: Tensor) -> None:
    """Take one direction out of everything that writes to the residual stream.

    W' = (I − vvᵀ)W: no activation of the residual stream has a component along v any more. The
    unembedding keeps its weights: it reads.

    Args:
        model: changed in place.
        direction: float [width], not zero.
    """
    untie(model)
    v = direction.double() / direction.double().norm()
    for writer in _writers(model):
        W = writer.weight.double()
        _set(writer.weight, W - torch.outer(v, v @ W))
    embedding = model.model.embed_tokens.weight
    E = embedding.double()
    _set(embedding, E - torch.outer(E @ v, v))


def _set(parameter: Tensor, value: Tensor) -> None:
    parameter.copy_(value.to(parameter.dtype))
