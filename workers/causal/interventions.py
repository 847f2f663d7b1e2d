"""Forward passes in which rows carry vectors added at a site."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from workers.capture.sites import BoundSite, bind_site, parse_site
from workers.causal.head import ModelWithHead
from workers.errors import EvaluationError


@dataclass(frozen=True)
class Edit:
    """Vectors to add to one row of a batch."""

    site: str
    positions: Tensor
    """int64 [n] positions in the sequence, each once."""
    sizes: Tensor
    """float32 [n] signed lengths."""
    unit: Tensor
    """float32 [width] direction, on the model's device."""


class EditedForward:
    """Runs a model over copies of one sequence, each with its own edit.

    Copies of one sequence need no padding, and the unedited copy beside the edited ones goes
    through the same kernels, so that an edit that nothing reads changes the last bit at most.
    """

    def __init__(self, model: ModelWithHead, sites: Sequence[str]) -> None:
        """Bind the sites.

        Raises:
            EvaluationError: a site does not exist.
        """
        self._model = model
        self._bound = {name: bind_site(model.base.module, parse_site(name)) for name in sites}
        self.vocabulary = int(getattr(model.head, "out_features", model.base.resolved.vocabulary))
        """Logits per token."""

    def logits(self, ids: Tensor, edits: Sequence[Edit | None], read: Sequence[Tensor]) -> Tensor:
        """Logits of some tokens of each row.

        Args:
            ids: int64 [L], one sequence.
            edits: one per row; None leaves the row as it is.
            read: per row, int64 positions at which logits are wanted.

        Returns:
            float32 [Σ positions, vocabulary] on the model's device, row after row.

        Raises:
            EvaluationError: a vector does not fit its site, the site's value cannot be replaced or
                does not run, or logits are not finite.
        """
        device, length = self._model.base.device, len(ids)
        wanted = torch.cat([row * length + positions for row, positions in enumerate(read)])
        wanted = wanted.to(device, non_blocking=True)
        per_site: dict[str, list[tuple[int, Edit]]] = {}
        for row, edit in enumerate(edits):
            if edit is not None:
                per_site.setdefault(edit.site, []).append((row, edit))
        batch = ids.expand(len(edits), length).contiguous().to(device, non_blocking=True)
        applied: set[str] = set()
        with ExitStack() as hooks, torch.inference_mode():
            for site, found in per_site.items():
                addition = _Addition(site, self._bound[site], found, (len(edits), length), applied)
                hooks.enter_context(addition.register(device))
            hooks.enter_context(
                self._model.head.register_forward_pre_hook(
                    lambda _m, args: (args[0].flatten(0, -2).index_select(0, wanted)[None],)
                )
            )
            output = self._model.module(
                input_ids=batch, attention_mask=torch.ones_like(batch), **self._options()
            )
            logits = output.logits
        self._check(logits, len(wanted), set(per_site) - applied)
        return logits[0].float()

    def _options(self) -> dict[str, Any]:
        config: Any = self._model.module.config
        return {"use_cache": False} if hasattr(config.get_text_config(), "use_cache") else {}

    def _check(self, logits: Tensor, count: int, unused: set[str]) -> None:
        name = type(self._model.module).__name__
        if unused:
            raise EvaluationError(
                "site_unknown",
                f"site {min(unused)!r} does not run when {name} predicts text",
            )
        if logits.ndim != 3 or tuple(logits.shape[:2]) != (1, count):
            raise EvaluationError(
                "architecture_unsupported",
                f"{name} gives logits of shape {tuple(logits.shape)} for {count} tokens at its "
                "head; its head does not work token by token",
            )
        # One NaN or infinity makes the sum one, and a sum is read off faster than every entry.
        if not bool(torch.isfinite(logits.sum(dtype=torch.float32))):
            raise EvaluationError(
                "logits_not_finite",
                f"{name} gives NaN or infinite logits; the checkpoint is broken, or needs a wider "
                "dtype",
            )


class _Addition:
    """Adds the rows' vectors to a site's value, once in a pass."""

    def __init__(
        self,
        site: str,
        bound: BoundSite,
        rows: Sequence[tuple[int, Edit]],
        shape: tuple[int, int],
        applied: set[str],
    ) -> None:
        self._site, self._bound, self._rows = site, bound, rows
        self._shape, self._applied = shape, applied

    def register(self, device: torch.device) -> Any:
        """Hook the site's module; the handle is a context manager."""
        length = self._shape[1]
        at = torch.cat([row * length + edit.positions for row, edit in self._rows])
        self._at = at.to(device, non_blocking=True)
        self._delta = torch.cat(
            [
                edit.sizes.to(device, non_blocking=True)[:, None] * edit.unit
                for _, edit in self._rows
            ]
        )
        if self._bound.side == "output":
            return self._bound.module.register_forward_hook(self._after)
        return self._bound.module.register_forward_pre_hook(self._before, with_kwargs=True)

    def _after(self, _module: Any, _args: Any, output: Any) -> Any:
        if isinstance(output, tuple | list):
            return type(output)([self._edited(output[0]), *output[1:]])
        return self._edited(output)

    def _before(self, _module: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if args:
            return (self._edited(args[0]), *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": self._edited(kwargs.get("hidden_states"))}

    def _edited(self, value: Any) -> Any:
        if self._site in self._applied:
            return value
        self._applied.add(self._site)
        if not isinstance(value, Tensor) or tuple(value.shape[:2]) != self._shape:
            found = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise EvaluationError(
                "site_unreadable",
                f"site {self._site!r} ({self._bound.path}) gives {found} for a batch of "
                f"{self._shape}; it cannot be replaced",
            )
        result = value.clone(memory_format=torch.contiguous_format)
        flat = result.view(self._shape[0] * self._shape[1], -1)
        if flat.shape[1] != self._delta.shape[1]:
            raise EvaluationError(
                "width_mismatch",
                f"site {self._site!r} is {flat.shape[1]} wide, but a feature's vector there has "
                f"{self._delta.shape[1]} entries",
            )
        # Added in float32: a small vector must not be rounded before it is added.
        edited = flat.index_select(0, self._at).float() + self._delta
        flat.index_copy_(0, self._at, edited.to(flat.dtype))
        return result
