"""Sites: TransformerLens hook names, bound to the modules of a Hugging Face model.

`parse_site` reads the name once into a frozen plan; `bind_site` finds the module. The mapping is
tested for equality against TransformerLens without weight processing.
"""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

from torch import nn

from workers.errors import EvaluationError


class Reading(Enum):
    """What is read, by TransformerLens's name."""

    RESID_PRE = "hook_resid_pre"
    RESID_POST = "hook_resid_post"
    MLP_OUT = "hook_mlp_out"
    ATTN_OUT = "hook_attn_out"
    Z = "attn.hook_z"
    MLP_POST = "mlp.hook_post"
    MODULE = "module"


_HOOK = re.compile(r"blocks\.(\d+)\.([a-z_.]+)")
_BLOCK_READINGS = {reading.value: reading for reading in Reading if reading is not Reading.MODULE}

# Below the base model (AutoModel), so without the head's prefix.
_BLOCK_ROOTS = (
    "layers",  # Llama, Gemma, Qwen, Mistral, GPT-NeoX, Phi, OLMo, ModernBERT
    "h",  # GPT-2, GPT-J, GPT-Neo, Falcon, BLOOM
    "encoder.layer",  # BERT, RoBERTa, MiniLM, ELECTRA
    "decoder.layers",  # OPT
    "language_model.layers",  # text tower of multimodal Gemma 3 and its like
    "transformer.layer",  # DistilBERT
    "blocks",  # MPT
)
_ATTENTION = ("self_attn", "attn.attention", "attn", "self_attention", "attention")
# Within attention, its last linear map; BERT keeps it beside, under `output`.
_ATTENTION_OUT = ("o_proj", "c_proj", "out_proj", "output.dense", "dense", "out_lin", "Wo", "wo")
_MLP = ("mlp", "ffn", "feed_forward")
_MLP_DOWN = (
    "mlp.down_proj",
    "mlp.c_proj",
    "mlp.dense_4h_to_h",
    "mlp.fc2",
    "mlp.fc_out",
    "mlp.Wo",
    "ffn.down_proj",
    "ffn.lin2",
    "fc2",
    "output.dense",
)


@dataclass(frozen=True)
class Site:
    """A parsed site: a reading of one block, or a module by its path."""

    name: str
    reading: Reading
    block: int = -1


@dataclass(frozen=True)
class BoundSite:
    """Where a site's values pass: the input or the output of one module."""

    site: Site
    path: str
    module: nn.Module
    side: Literal["input", "output"]


def parse_site(name: str) -> Site:
    """Parse a TransformerLens hook name, or take the text as a module path.

    Raises:
        EvaluationError: a ``blocks.…`` name with a hook that is not read, naming those that are.
    """
    if not name.startswith("blocks.") or (match := _HOOK.fullmatch(name)) is None:
        return Site(name, Reading.MODULE)
    reading = _BLOCK_READINGS.get(match[2])
    if reading is None and "hook_" in match[2]:
        raise EvaluationError(
            "site_unknown",
            f"site {name!r}: {match[2]!r} is not read; readable in a block are "
            f"{', '.join(_BLOCK_READINGS)}",
        )
    return Site(name, Reading.MODULE) if reading is None else Site(name, reading, int(match[1]))


def bind_site(model: nn.Module, site: Site) -> BoundSite:
    """Find the module and side where a site's values pass.

    Args:
        model: a base model as `load_model` gives it.

    Raises:
        EvaluationError: ``site_unknown``: the block or module does not exist, naming how many
            blocks there are, or the modules with the nearest names.
    """
    if site.reading is Reading.MODULE:
        return _bind_module(model, site)
    root, blocks = find_blocks(model)
    if site.block >= len(blocks):
        raise EvaluationError(
            "site_unknown",
            f"site {site.name!r}: the model has {len(blocks)} blocks, blocks.0 to "
            f"blocks.{len(blocks) - 1}",
        )
    found = _within_block(blocks[site.block], site.reading)
    if found is None:
        children = ", ".join(name for name, _ in blocks[site.block].named_children())
        raise EvaluationError(
            "site_unknown",
            f"site {site.name!r}: cannot tell which module of {type(blocks[site.block]).__name__} "
            f"it is (its children are {children}); give the module's path instead, such as "
            f"'{root}.{site.block}.…'",
        )
    inner, side = found
    path = f"{root}.{site.block}" + (f".{inner}" if inner else "")
    return BoundSite(site, path, model.get_submodule(path), side)


def find_blocks(model: nn.Module) -> tuple[str, nn.ModuleList]:
    """The path and list of a base model's blocks.

    Raises:
        EvaluationError: none of the known places holds a list of blocks.
    """
    for root in _BLOCK_ROOTS:
        found = _submodule(model, root)
        if isinstance(found, nn.ModuleList) and len(found):
            return root, found
    raise EvaluationError(
        "site_unknown",
        f"{type(model).__name__} keeps its blocks in none of {', '.join(_BLOCK_ROOTS)}; give "
        "sites as module paths",
    )


def _within_block(
    block: nn.Module, reading: Reading
) -> tuple[str, Literal["input", "output"]] | None:
    """The module path inside a block, and its side."""
    # Gemma 2 and 3 and OLMo 2 norm what attention and MLP return before adding it.
    normed = _submodule(block, "post_feedforward_layernorm") is not None
    match reading:
        case Reading.RESID_PRE:
            return "", "input"
        case Reading.RESID_POST:
            return "", "output"
        case Reading.MLP_POST:
            path = _first(block, _MLP_DOWN)
            return None if path is None else (path, "input")
        case Reading.Z:
            path = _attention_out(block)
            return None if path is None else (path, "input")
        case Reading.MLP_OUT:
            path = "post_feedforward_layernorm" if normed else _first(block, _MLP)
            # BERT and OPT have no MLP module; the last linear map's output is what is added.
            path = path or _first(block, ("output.dense", "fc2"))
        case Reading.ATTN_OUT:
            path = "post_attention_layernorm" if normed else _first(block, _ATTENTION)
            if not normed and _submodule(block, "attention.output.dense") is not None:
                path = "attention.output.dense"
        case _:
            path = None
    return None if path is None else (path, "output")


def _attention_out(block: nn.Module) -> str | None:
    for attention in _ATTENTION:
        module = _submodule(block, attention)
        if module is not None and (inner := _first(module, _ATTENTION_OUT)) is not None:
            return f"{attention}.{inner}"
    return None


def _bind_module(model: nn.Module, site: Site) -> BoundSite:
    prefix = f"{getattr(model, 'base_model_prefix', '')}."
    for path in (site.name, site.name.removeprefix(prefix)):
        module = _submodule(model, path) if path else None
        if module is not None:
            return BoundSite(site, path, module, "output")
    names = [name for name, _ in model.named_modules() if name]
    near = difflib.get_close_matches(site.name.removeprefix(prefix), names, n=3, cutoff=0.3)
    raise EvaluationError(
        "site_unknown",
        f"site {site.name!r} is no module of {type(model).__name__}; near names: "
        f"{', '.join(near) or ', '.join(names[:3])}",
    )


def _first(module: nn.Module, paths: Iterable[str]) -> str | None:
    return next((path for path in paths if _submodule(module, path) is not None), None)


def _submodule(module: Any, path: str) -> nn.Module | None:
    for name in path.split("."):
        module = getattr(module, name, None)
        if not isinstance(module, nn.Module):
            return None
    return module
