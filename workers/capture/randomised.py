"""A checkpoint with fresh weights: the control that every feature must fail on.

Adebayo et al. (2018), "Sanity Checks for Saliency Maps": what survives the randomisation of a
model's weights does not describe what the model has learnt. Randomised as a cascade, it also tells
how much of a feature comes from the upper blocks, from all blocks, or from the embeddings alone.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, get_args

import torch
from torch import nn

from workers.capture.checkpoints import ResolvedCheckpoint
from workers.capture.loading import LoadedModel, load_model
from workers.capture.sites import find_blocks
from workers.errors import EvaluationError
from workers.numerics import Numerics

Scope = Literal["top", "blocks", "all"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
"""From the least randomised to the most; each holds the fresh weights of the one before."""


def load_randomised(
    resolved: ResolvedCheckpoint, numerics: Numerics, scope: Scope, seed: int
) -> LoadedModel:
    """Load a checkpoint and give a part of it the fresh weights of its own architecture.

    The fresh weights depend on the configuration and the seed alone, not on scope, dtype or the
    state of any random generator, which are left as they were. For a moment two copies of the
    weights are in memory, the fresh one in float32 on the host.

    Args:
        scope: ``top``: the upper half of the blocks (of an odd number, the larger half);
            ``blocks``: all blocks, with embeddings and whatever stands before and after the blocks
            kept; ``all``: every weight.
        seed: of the fresh weights, at least 0.

    Raises:
        EvaluationError: as `load_model`; or it is not known where the architecture keeps its
            blocks (``site_unknown``, never for ``all``).
    """
    if scope not in SCOPES:
        raise ValueError(f"scope {scope!r} is none of {', '.join(SCOPES)}")
    with _seeded(seed):
        # A head that the checkpoint lacks, such as BERT's pooler, is drawn while loading.
        model = load_model(resolved, numerics)
    prefixes = _prefixes(model.module, scope)
    source = dict(_fresh(model.module.config, seed).named_parameters())
    with torch.no_grad():
        for name, parameter in model.module.named_parameters():
            if name.startswith(prefixes):
                parameter.copy_(_counterpart(source, name, parameter))
    return model


def randomised_blocks(module: nn.Module, scope: Scope) -> range:
    """The blocks that a scope gives fresh weights to.

    Raises:
        EvaluationError: it is not known where the architecture keeps its blocks.
    """
    blocks = len(find_blocks(module)[1])
    return range(blocks // 2 if scope == "top" else 0, blocks)


def _prefixes(module: nn.Module, scope: Scope) -> tuple[str, ...]:
    """What the names of the weights to be replaced begin with."""
    if scope == "all":
        return ("",)
    root, _ = find_blocks(module)
    return tuple(f"{root}.{block}." for block in randomised_blocks(module, scope))


def _fresh(config: Any, seed: int) -> nn.Module:
    from transformers import AutoModel

    with _seeded(seed):
        # On the host and in float32 whatever the numerics are: one seed, one set of weights.
        module: nn.Module = AutoModel.from_config(
            copy.deepcopy(config), dtype=torch.float32, attn_implementation="eager"
        )
    return module


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """The host's generator under a seed, and afterwards in the state that it had before."""
    generator = torch.default_generator
    before = generator.get_state()
    generator.manual_seed(seed)
    try:
        yield
    finally:
        generator.set_state(before)


def _counterpart(
    source: dict[str, nn.Parameter], name: str, parameter: nn.Parameter
) -> nn.Parameter:
    fresh = source.get(name)
    if fresh is None or fresh.shape != parameter.shape:
        found = "none" if fresh is None else str(tuple(fresh.shape))
        raise EvaluationError(
            "randomisation_unsupported",
            f"weight {name!r} is {tuple(parameter.shape)}, and a fresh model of the same "
            f"configuration has {found}; the randomised control cannot be built",
        )
    return fresh
