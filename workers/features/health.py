"""How well a dictionary still describes its site: FVU, L0, dead share and norms.

Sums are kept per batch and put together in the order of the batch plan, so that the figures do not
depend, not even in their last bit, on how batches were spread over shards.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from workers.features.dictionaries import TRANSCODERS, DictionarySource
from workers.features.encoders import Encoder, Inlet, OwnEncoder, make_encoder, require_finite

SAMPLE_MAX = 4096
SAMPLE_MIN = 512
SAMPLE_SHARE = 32
"""One token in 32 is reconstructed, at least 512 and at most 4096 of a corpus."""
# Vector sums are of integers, so that float64 adds them exactly in any order up to 2⁵³.
_QUANTUM = 2.0**-20

_TOKENS, _ERROR, _SQUARE, _CODED, _ACTIVE, _NORM, _NORMED, _OUTLIERS = range(8)


@dataclass(frozen=True)
class HealthSums:
    """Sums over some batches for one dictionary."""

    batches: NDArray[np.float64]
    """[B, 8] per batch: sampled tokens, Σ‖y−ŷ‖², Σ‖y‖², tokens with all latents known, latents on
    at them, Σ‖x‖, tokens in it, outlier tokens."""
    total: NDArray[np.float64]
    """[d] Σy over sampled tokens, in units of 2⁻²⁰."""
    fired: NDArray[np.uint8]
    """[d_sae] 1 for a latent that was on."""

    @classmethod
    def empty(cls, width: int, latents: int) -> "HealthSums":
        """No batch yet."""
        return cls(np.zeros((0, 8)), np.zeros(width), np.zeros(latents, dtype=np.uint8))

    def merge(self, later: "HealthSums") -> "HealthSums":
        """These batches followed by later ones."""
        return HealthSums(
            np.concatenate([self.batches, later.batches]),
            self.total + later.total,
            self.fired | later.fired,
        )

    def finalise(self) -> dict[str, Any]:
        """The figures: FVU = Σ‖y−ŷ‖² / Σ‖y−ȳ‖² over sampled tokens; null where undefined.

        Special and outlier tokens are left out of all but `outlier_tokens`. `tokens` says how many
        the FVU is measured on, `latent_tokens` how many L0 and the dead share are.
        """
        sums = self.batches.sum(axis=0)
        tokens = sums[_TOKENS]
        fvu: float | None = None
        if tokens > 1:
            mean = self.total * _QUANTUM / tokens
            spread = sums[_SQUARE] - tokens * float(mean @ mean)
            fvu = float(sums[_ERROR] / spread) if spread > 1e-12 * sums[_SQUARE] else None
        coded, normed = sums[_CODED], sums[_NORMED]
        return {
            "fvu": fvu,
            "explained_variance": None if fvu is None else 1.0 - fvu,
            "l0": float(sums[_ACTIVE] / coded) if coded else None,
            "dead_ratio": float(1.0 - self.fired.mean()) if coded else None,
            "norm_mean": float(sums[_NORM] / normed) if normed else None,
            "tokens": int(tokens),
            "latent_tokens": int(coded),
            "outlier_tokens": int(sums[_OUTLIERS]),
        }

    def to_tensors(self, name: str) -> dict[str, NDArray[Any]]:
        """The sums as tensors of a shard, `health.<dictionary>.<field>`."""
        return {
            f"health.{name}.batches": self.batches,
            f"health.{name}.total": self.total,
            f"health.{name}.fired": self.fired,
        }


def merge_health(
    parts: Sequence[tuple[Mapping[str, NDArray[Any]], Mapping[str, Any]]],
) -> dict[str, dict[str, Any]]:
    """The manifest's `health` from the shards' tensors, in the order of the batch plan."""
    merged: dict[str, HealthSums] = {}
    for tensors, _ in parts:
        names = sorted({n.removeprefix("health.").rpartition(".")[0] for n in tensors})
        for name in names:
            prefix = f"health.{name}."
            sums = HealthSums(
                *(np.asarray(tensors[prefix + part]) for part in ("batches", "total", "fired"))
            )
            merged[name] = merged[name].merge(sums) if name in merged else sums
    return {name: sums.finalise() for name, sums in sorted(merged.items())}


def sample_tokens(documents: NDArray[np.int32], special: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which tokens of a corpus are reconstructed: decided by the corpus alone.

    The tokens whose hash of (document, position in it) is smallest, special ones excepted.

    Args:
        documents: [N] each token's document; a document's tokens stand together.
        special: [N] whether the tokenizer added the token.
    """
    starts = np.flatnonzero(np.diff(documents, prepend=-1))
    position = np.arange(len(documents)) - np.repeat(starts, np.diff([*starts, len(documents)]))
    key = (documents.astype(np.uint64) << np.uint64(32)) | position.astype(np.uint64)
    mixed = splitmix(key)
    mixed[special] = np.iinfo(np.uint64).max
    available = int((~special).sum())
    count = min(available, SAMPLE_MAX, max(SAMPLE_MIN, available // SAMPLE_SHARE))
    chosen = np.zeros(len(documents), dtype=np.bool_)
    chosen[np.argsort(mixed, kind="stable")[:count]] = True
    return chosen


def splitmix(key: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014): nearby keys, unrelated hashes."""
    with np.errstate(over="ignore"):
        z = key + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


class HealthMeter:
    """Measures one dictionary over batches."""

    def __init__(
        self, source: DictionarySource, device: torch.device, output_width: int | None
    ) -> None:
        """Prepare to reconstruct.

        Args:
            output_width: of a transcoder, the width of its output site where that is read too.
        """
        self.source = source
        self._device = device
        self._transcoder = source.architecture in TRANSCODERS
        self._encoder: Encoder | None = None
        self._tensors = source.tensors()
        # A temporal SAE reconstructs whole sequences; the others are put together from parts.
        temporal = source.architecture == "temporal"
        self._own = OwnEncoder(source, device) if temporal else None
        self._inlet = None if temporal else Inlet(source, device)
        self._reconstructs = not self._transcoder or output_width is not None
        width = (output_width or 0) if self._transcoder else source.d_in
        self.sums = HealthSums.empty(width, source.d_sae)

    def update(
        self,
        activations: Mapping[str, Tensor],
        lengths: Sequence[int],
        *,
        codes: csr_array | None,
        norms: NDArray[np.float32],
        kept: NDArray[np.bool_],
        sampled: NDArray[np.bool_],
        outliers: int,
    ) -> None:
        """Add one batch.

        Args:
            activations: of each site [T, width].
            lengths: tokens of each sequence.
            codes: all latents [T, d_sae] where they are known anyway.
            norms: [T] norms at the dictionary's site.
            kept: [T] tokens that are neither special nor outliers.
            sampled: [T] tokens to reconstruct, among those kept.
            outliers: outlier tokens of the batch at the dictionary's site.
        """
        row = np.zeros((1, 8))
        row[0, _NORM] = norms[kept].sum(dtype=np.float64)
        row[0, _NORMED] = kept.sum()
        row[0, _OUTLIERS] = outliers
        x = activations[self.source.site]
        rows = np.flatnonzero(sampled)
        at_rows = codes[rows] if codes is not None else self._encode(x, rows)
        known = at_rows if codes is None else codes[np.flatnonzero(kept)]
        row[0, _CODED], row[0, _ACTIVE] = known.shape[0], known.nnz
        fired = np.zeros(self.source.d_sae, dtype=np.uint8)
        fired[known.indices] = 1
        total = np.zeros_like(self.sums.total)
        if self._reconstructs and len(rows):
            output = self.source.output_site if self._transcoder else self.source.site
            target = activations[str(output)][torch.from_numpy(rows).to(x.device)].double()
            error = target - self._decode(x, lengths, rows, at_rows).double()
            row[0, _TOKENS] = len(rows)
            row[0, _ERROR] = float(error.square().sum())
            row[0, _SQUARE] = float(target.square().sum())
            total = np.rint(target.sum(dim=0).cpu().numpy() / _QUANTUM)
        self.sums = self.sums.merge(HealthSums(row, total, fired))

    def _encode(self, x: Tensor, rows: NDArray[np.int64]) -> csr_array:
        if self._encoder is None:
            self._encoder, _ = make_encoder(self.source, self._device)
        return self._encoder.encode(x[torch.from_numpy(rows).to(x.device)], [len(rows)])

    def _decode(
        self, x: Tensor, lengths: Sequence[int], rows: NDArray[np.int64], codes: csr_array
    ) -> Tensor:
        """Reconstructions [n, d] of the sampled tokens, equal to SAELens's forward pass."""
        if self._inlet is None:
            return self._temporal(x, lengths, rows)
        sae, dtype = self._inlet.sae, self._inlet.dtype
        result = self._weighted_rows(codes).to(dtype)
        tied = self.source.architecture == "matching_pursuit"
        if not tied or sae.cfg.apply_b_dec_to_input:
            result = result + sae.b_dec
        sampled = x[torch.from_numpy(rows).to(x.device)].to(dtype)
        if self._transcoder:
            if "W_skip" in self._tensors:
                result = result + sampled @ self._tensors["W_skip"].to(self._device, dtype).T
            return result
        # Preparing the input leaves behind what undoes its normalisation.
        sae.process_sae_in(sampled)
        return sae.run_time_activation_norm_fn_out(result)

    def _weighted_rows(self, codes: csr_array) -> Tensor:
        """Codes [n, d_sae] times the decoder, reading only the rows of latents that are on."""
        decoder = self._tensors["W_dec"]
        where, values = codes.indices.astype(np.int64), torch.from_numpy(codes.data)
        rescale = bool(self.source.config.get("rescale_acts_by_decoder_norm"))
        if self._device.type != "cpu" or decoder.dtype != torch.float32 or rescale:
            used, where = np.unique(where, return_inverse=True)
            decoder = decoder[torch.from_numpy(used)].to(self._device, torch.float32)
        index, values = torch.from_numpy(where).to(self._device), values.to(self._device)
        if rescale:
            values = values / decoder.norm(dim=-1)[index]
        result = torch.nn.functional.embedding_bag(
            index,
            decoder,
            torch.from_numpy(codes.indptr[:-1].astype(np.int64)).to(self._device),
            mode="sum",
            per_sample_weights=values,
        )
        require_finite(self.source, "W_dec", result)
        return result

    def _temporal(self, x: Tensor, lengths: Sequence[int], rows: NDArray[np.int64]) -> Tensor:
        """What attention over the sequence predicts is part of the reconstruction."""
        if self._own is None:
            raise ValueError(f"{self.source.architecture} is not temporal")
        bounds = np.concatenate([[0], np.cumsum(lengths)])
        parts = []
        for first, stop in pairwise(bounds):
            wanted = rows[(rows >= first) & (rows < stop)] - first
            if len(wanted):
                whole = self._own.sae(x[first:stop][None])[0]
                parts.append(whole[torch.from_numpy(wanted).to(x.device)])
        return torch.cat(parts)
