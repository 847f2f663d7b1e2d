"""Activations of the demo's own model, for fitting a dictionary, probes and directions.

Scoring a checkpoint is the service's work; this is only the training side.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import torch
from torch import Tensor, nn
from transformers import LlamaForCausalLM

from workers.capture.sites import bind_site, parse_site

_BATCH_WINDOWS = 16


class _StopForward(Exception):  # noqa: N818 - control flow, not an error
    """The last site is filled; what follows would be wasted."""


@contextmanager
def _hooked(model: LlamaForCausalLM, sites: tuple[str, ...]) -> Iterator[dict[str, Tensor]]:
    """Fills a dictionary at each forward pass, and stops the pass once it is full."""
    seen: dict[str, Tensor] = {}

    def keep(site: str, is_input: bool) -> Callable[..., None]:
        def hook(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            seen[site] = inputs[0] if is_input else output
            if len(seen) == len(sites):
                raise _StopForward

        return hook

    handles = []
    for site in sites:
        bound = bind_site(model.model, parse_site(site))
        handles.append(bound.module.register_forward_hook(keep(site, bound.side == "input")))
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


@torch.inference_mode()
def site_activations(
    model: LlamaForCausalLM, rows: Tensor, *sites: str
) -> Iterator[dict[str, Tensor]]:
    """Activations batch by batch.

    Args:
        model: float32 weights, in evaluation mode.
        rows: token windows, int64 [windows, context].
        sites: TransformerLens names, without repetition.

    Yields:
        Per site float32 [windows × context, width], in the order of the rows.
    """
    with _hooked(model, sites) as seen:
        for start in range(0, len(rows), _BATCH_WINDOWS):
            seen.clear()
            with suppress(_StopForward):
                model.model(input_ids=rows[start : start + _BATCH_WINDOWS], use_cache=False)
            yield {site: seen[site].flatten(0, 1).float().clone() for site in sites}


def collect(model: LlamaForCausalLM, rows: Tensor, site: str) -> Tensor:
    """All activations of one site: float32 [windows × context, width]."""
    return torch.cat([batch[site] for batch in site_activations(model, rows, site)])
