"""Encoders: from activations to latents, equal to SAELens's own `encode`, without its dense array.

Where a latent depends on its own column alone, only the wanted columns are read and multiplied.
Top-k encoders need every pre-activation and stream them in blocks of columns under a running
top-k. Matching pursuit and temporal encoders run SAELens's code on a few tokens at a time.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from app.sources.dictionary import WEIGHTS_FILE
from workers.errors import EvaluationError
from workers.features.dictionaries import GATED, JUMPRELU, PER_LATENT, TOP_K, DictionarySource
from workers.features.sparse import from_dense, from_parts

_BLOCK = 2048
"""Latents multiplied at once: with `_ROWS` tokens the product stays in the cache."""
_ROWS = 1024
_OWN_ROWS = 256
"""Tokens at once where SAELens's dense encode runs."""
_RESIDENT_BYTES = 4 << 30
"""Encoders beyond this stay in the file and are paged in block by block."""


class Encoder(ABC):
    """Activations [T, d_in] to the values of some latents."""

    width: int
    """Columns of what `encode` returns."""

    @abstractmethod
    def encode(self, x: Tensor, lengths: Sequence[int]) -> csr_array:
        """Latents of some tokens.

        Args:
            x: [T, d_in] activations on the encoder's device.
            lengths: tokens of each sequence, Σ = T; only temporal encoders look at it.

        Returns:
            float32 [T, width].
        """


def make_encoder(
    source: DictionarySource, device: torch.device, columns: NDArray[np.int64] | None = None
) -> tuple[Encoder, bool]:
    """The cheapest encoder that gives the wanted latents.

    Args:
        columns: [n] latent indices, ascending; None for all of them.

    Returns:
        The encoder, and whether its columns are all latents (else they are `columns`).
    """
    if source.architecture in PER_LATENT:
        return PerLatentEncoder(source, device, columns), columns is None
    if source.architecture in TOP_K:
        return TopKEncoder(source, device), True
    return OwnEncoder(source, device), True


def load_sae(source: DictionarySource, device: torch.device) -> Any:
    """The dictionary as SAELens loads it.

    Raises:
        EvaluationError: SAELens does not accept its weights.
    """
    from sae_lens import SAE

    try:
        sae = SAE.load_from_disk(source.path, device=str(device))
    except (ValueError, RuntimeError, KeyError) as error:
        raise EvaluationError(
            "dictionary_inconsistent",
            f"dictionary {source.name!r}: SAELens does not load it: {str(error)[:500]}",
        ) from error
    if source.config.get("reshape_activations") == "hook_z":
        # Sites give heads already side by side.
        sae.turn_off_forward_pass_hook_z_reshaping()
    return sae.eval().requires_grad_(False)


class Inlet:
    """SAELens's own preparation of the input: type, normalisation, decoder bias."""

    def __init__(self, source: DictionarySource, device: torch.device) -> None:
        from sae_lens.registry import get_sae_class

        sae_class, config_class = get_sae_class(source.architecture)
        # One latent is enough: only what happens before the encoder is used.
        config = dict(source.config, d_sae=1, device=str(device))
        if source.architecture in TOP_K:
            config["k"] = 1
        self.sae = sae_class(config_class.from_dict(config))
        self.dtype: torch.dtype = self.sae.dtype
        if source.config.get("reshape_activations") == "hook_z":
            self.sae.turn_off_forward_pass_hook_z_reshaping()
        bias = source.tensors()["b_dec"].to(device, self.dtype)
        require_finite(source, "b_dec", bias)
        self.sae.b_dec.data = bias
        self.sae.eval().requires_grad_(False)

    def __call__(self, x: Tensor) -> Tensor:
        """The encoder's input [T, d_in]."""
        return self.sae.process_sae_in(x)


class PerLatentEncoder(Encoder):
    """Standard, JumpReLU and gated encoders: each latent from its own column."""

    def __init__(
        self, source: DictionarySource, device: torch.device, columns: NDArray[np.int64] | None
    ) -> None:
        self._source = source
        self._device = device
        self._columns = None if columns is None else torch.from_numpy(columns)
        self.width = source.d_sae if columns is None else len(columns)
        self._inlet = Inlet(source, device)
        size = source.d_in * self.width * self._inlet.dtype.itemsize
        self._resident = list(self._blocks()) if size <= _RESIDENT_BYTES else None

    def _blocks(self) -> Iterator["_Block"]:
        tensors = self._source.tensors()
        for first in range(0, self.width, _BLOCK):
            stop = min(first + _BLOCK, self.width)
            wanted = slice(first, stop) if self._columns is None else self._columns[first:stop]
            yield _Block(self._source, tensors, first, wanted, self._inlet.dtype, self._device)

    def encode(self, x: Tensor, lengths: Sequence[int]) -> csr_array:  # noqa: ARG002
        """See `Encoder.encode`."""
        rows: list[NDArray[np.int64]] = []
        columns: list[NDArray[np.int64]] = []
        values: list[NDArray[np.float32]] = []
        prepared = self._inlet(x)
        for block in self._resident or self._blocks():
            for first in range(0, len(x), _ROWS):
                row, column, value = block.encode(prepared[first : first + _ROWS])
                rows.append(row + first)
                columns.append(column + block.first)
                values.append(value)
        return from_parts(rows, columns, values, (len(x), self.width))


class _Block:
    """Some columns of a per-latent encoder."""

    def __init__(
        self,
        source: DictionarySource,
        tensors: dict[str, Tensor],
        first: int,
        wanted: Any,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        def read(name: str) -> Tensor:
            return tensors[name][..., wanted].to(device, dtype).contiguous()

        self.first = first
        self._weight = read("W_enc")
        self._gate: tuple[Tensor, Tensor] | None = None
        self._threshold: Tensor | None = None
        if source.architecture in GATED:
            self._gate = (self._weight, read("b_gate"))
            self._weight = self._weight * read("r_mag").exp()
            self._bias = read("b_mag")
        else:
            self._bias = read("b_enc")
        if source.architecture in JUMPRELU:
            # ReLU(z)·(z > θ) is on where z is above both 0 and θ.
            self._threshold = read("threshold").clamp_min(0)
        # An infinite threshold is a way to switch a latent off, so only these are checked.
        for name, part in (("W_enc", self._weight), ("the encoder bias", self._bias)):
            require_finite(source, name, part)

    def encode(self, x: Tensor) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """Rows, columns and values of the latents that are on."""
        before = torch.addmm(self._bias, x, self._weight)
        on = before > (0 if self._threshold is None else self._threshold)
        if self._gate is not None:
            on &= torch.addmm(self._gate[1], x, self._gate[0]) > 0
        return _coordinates(before, on)


def _coordinates(
    values: Tensor, on: Tensor
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    width = values.shape[1]
    if values.device.type == "cpu" and values.dtype == torch.float32:
        flat = np.flatnonzero(on.numpy())
        kept = values.numpy().ravel()[flat]
    else:
        position = on.flatten().nonzero().squeeze(1)
        kept = values.flatten().index_select(0, position).float().cpu().numpy()
        flat = position.cpu().numpy()
    row = flat // width
    return row, flat - row * width, kept


class TopKEncoder(Encoder):
    """TopK and AbsTopK encoders: the k largest of all pre-activations, in a running selection."""

    def __init__(self, source: DictionarySource, device: torch.device) -> None:
        self.width = source.d_sae
        self._inlet = Inlet(source, device)
        dtype = self._inlet.dtype
        self._k = int(source.config.get("k", 100))
        self._signed = source.architecture == "abstopk"
        tensors = source.tensors()
        self._bias = tensors["b_enc"].to(device, dtype)
        self._scale: Tensor | None = None
        if source.config.get("rescale_acts_by_decoder_norm"):
            self._scale = torch.cat(
                [part.to(device, dtype).norm(dim=-1) for part in tensors["W_dec"].split(_BLOCK)]
            )
        resident = tensors["W_enc"].numel() * dtype.itemsize <= _RESIDENT_BYTES
        self._weights = [
            part.to(device, dtype).contiguous() if resident else part
            for part in tensors["W_enc"].split(_BLOCK, dim=1)
        ]
        self._device, self._dtype = device, dtype
        for part in self._weights:
            require_finite(source, "W_enc", part)

    def encode(self, x: Tensor, lengths: Sequence[int]) -> csr_array:  # noqa: ARG002
        """See `Encoder.encode`."""
        prepared = self._inlet(x)
        found = [self._select(prepared[a : a + _ROWS]) for a in range(0, len(x), _ROWS)]
        values = torch.cat([value for value, _ in found])
        columns = torch.cat([column for _, column in found])
        # TopK keeps ReLU of what it selects, AbsTopK the signed values.
        on = (values != 0) if self._signed else (values > 0)
        columns, order = columns.sort(dim=1)
        on, values = on.gather(1, order), values.gather(1, order)
        row = on.nonzero()[:, 0].cpu().numpy()
        kept = values[on].float().cpu().numpy()
        return from_parts([row], [columns[on].cpu().numpy()], [kept], (len(x), self.width))

    def _select(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Values and columns [T, k] of the selected pre-activations."""
        best: Tensor | None = None
        where: Tensor | None = None
        first = 0
        for part in self._weights:
            stop = first + part.shape[1]
            weight = part.to(self._device, self._dtype)
            before = torch.addmm(self._bias[first:stop], x, weight)
            if self._scale is not None:
                before = before * self._scale[first:stop]
            column = torch.arange(first, stop, device=x.device).expand(len(x), -1)
            if best is not None and where is not None:
                before, column = torch.cat([best, before], 1), torch.cat([where, column], 1)
            rank = before.abs() if self._signed else before
            chosen = rank.topk(min(self._k, rank.shape[1]), dim=1, sorted=False).indices
            best, where = before.gather(1, chosen), column.gather(1, chosen)
            first = stop
        if best is None or where is None:
            raise ValueError("an encoder without columns")
        return best, where


class OwnEncoder(Encoder):
    """SAELens's `encode`, a few tokens or one sequence at a time, kept sparse in between."""

    def __init__(self, source: DictionarySource, device: torch.device) -> None:
        self.width = source.d_sae
        self.sae = load_sae(source, device)
        self.temporal = source.architecture == "temporal"
        for name, parameter in self.sae.named_parameters():
            require_finite(source, name, parameter)

    def encode(self, x: Tensor, lengths: Sequence[int]) -> csr_array:
        """See `Encoder.encode`."""
        from scipy.sparse import vstack

        if self.temporal:
            # Context runs through the sequence, so it goes in whole: [1, L, d_in].
            parts = [self.sae.encode(part[None])[0] for part in x.split(list(lengths))]
            return csr_array(vstack([from_dense(_array(part)) for part in parts]))
        parts = x.split(_OWN_ROWS)
        return csr_array(vstack([from_dense(_array(self.sae.encode(part))) for part in parts]))


def _array(values: Tensor) -> NDArray[np.float32]:
    return values.float().cpu().numpy()


def require_finite(source: DictionarySource, name: str, tensor: Tensor) -> None:
    """Refuse weights that are NaN or infinite.

    Raises:
        EvaluationError: naming the dictionary and the tensor.
    """
    # A finite sum proves finite entries at little cost; an infinite one may have overflowed.
    if not torch.isfinite(tensor.sum()) and not torch.isfinite(tensor).all():
        raise EvaluationError(
            "dictionary_not_finite",
            f"dictionary {source.name!r}: {name} in {WEIGHTS_FILE} holds NaN or infinite entries",
        )
