"""Reading activations: hooks on the sites, and a forward pass that stops at the last of them."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor

from workers.capture.loading import LoadedModel
from workers.capture.sites import BoundSite, bind_site, parse_site
from workers.errors import EvaluationError


class _StopForward(BaseException):
    """Raised inside the forward pass once every site has been read.

    A BaseException, so that no module between hook and caller takes it for an error of its own.
    """


class SiteReader:
    """Reads the activations of some sites of one model.

    The sites' widths are measured by a pass over a few tokens, so that a site which never runs, or
    which holds no activations, is found before any work is done.
    """

    def __init__(self, model: LoadedModel, sites: Sequence[str]) -> None:
        """Bind the sites.

        Raises:
            EvaluationError: a site does not exist, does not run, or has no token axis.
        """
        self._model = model
        self._bound = tuple(bind_site(model.module, parse_site(name)) for name in sites)
        # Two rows of three: a tensor shared by the rows, such as rotary angles, must not pass.
        probe = self.read(torch.full((2, 3), model.pad_id), torch.tensor([3, 3]))
        self.widths: Mapping[str, int] = {name: value.shape[1] for name, value in probe.items()}
        """Width of each site: the last axis of its activations."""

    def read(self, ids: Tensor, lengths: Tensor) -> dict[str, Tensor]:
        """Activations of a right-padded batch, without its padding.

        Args:
            ids: int64 [B, L], token ids, filled behind each sequence.
            lengths: int64 [B], real tokens of each sequence.

        Returns:
            For each site [T, width] on the model's device, T = Σ lengths, sequence after sequence.

        Raises:
            EvaluationError: ``site_unknown`` where a site does not run.
        """
        mask = torch.arange(ids.shape[1]) < lengths[:, None]
        tokens = mask.flatten().nonzero().squeeze(1)
        return self._run(ids, mask.long(), tokens)

    def _run(self, ids: Tensor, mask: Tensor, tokens: Tensor) -> dict[str, Tensor]:
        ids, mask, tokens = (self._to_device(tensor) for tensor in (ids, mask, tokens))
        shape = tuple(ids.shape)
        everything = len(tokens) == ids.numel()
        values: dict[str, Tensor] = {}

        def keep(bound: BoundSite, value: Any) -> None:
            name = bound.site.name
            if name in values:
                return
            value = value[0] if isinstance(value, tuple | list) else value
            if not isinstance(value, Tensor) or value.ndim < 3 or tuple(value.shape[:2]) != shape:
                found = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
                raise EvaluationError(
                    "site_unreadable",
                    f"site {name!r} ({bound.path}) gives {found} for a batch of {shape}; a site "
                    "must give [batch, token, width]",
                )
            flat = value.reshape(ids.numel(), -1)
            # A copy in both cases: later modules may write into the tensor in place.
            values[name] = flat.clone() if everything else flat.index_select(0, tokens)
            if len(values) == len(self._bound):
                raise _StopForward

        with ExitStack() as hooks, torch.inference_mode():
            for bound in self._bound:
                hooks.enter_context(_hook(bound, keep))
            try:
                self._model.module(input_ids=ids, attention_mask=mask, **self._options())
            except _StopForward:
                return values
        missing = [bound for bound in self._bound if bound.site.name not in values]
        if missing:
            raise EvaluationError(
                "site_unknown",
                f"site {missing[0].site.name!r} ({missing[0].path}) does not run when the model "
                "reads text",
            )
        return values

    def _options(self) -> dict[str, Any]:
        config: Any = self._model.module.config
        return {"use_cache": False} if hasattr(config.get_text_config(), "use_cache") else {}

    def _to_device(self, tensor: Tensor) -> Tensor:
        if self._model.device.type != "cuda":
            return tensor.to(self._model.device)
        return tensor.pin_memory().to(self._model.device, non_blocking=True)


def _hook(bound: BoundSite, keep: Any) -> Any:
    if bound.side == "output":
        return bound.module.register_forward_hook(lambda _m, _args, output: keep(bound, output))

    def before(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        keep(bound, args[0] if args else kwargs.get("hidden_states"))

    return bound.module.register_forward_pre_hook(before, with_kwargs=True)
