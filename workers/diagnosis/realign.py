"""Fold an affine map of the activations into a SAELens dictionary, and write it in its format.

With x′ = x·M + t the activations that the dictionary knows, encode′(x) = encode(x′) exactly:
W_enc′ = M·W_enc, and the encoder's biases take what is left. Its reconstruction x̂′ is brought back
by x̂ = (x̂′ − t)·M⁻¹, with the pseudo-inverse where M has no inverse. A transcoder reads through the
map and still writes what it wrote.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from app.core.digests import sha256_json
from app.sources.dictionary import CONFIG_FILE, WEIGHTS_FILE
from workers.diagnosis.heads import affine_input, bias_on_input
from workers.diagnosis.maps import AffineMap
from workers.features.dictionaries import (
    GATED,
    JUMPRELU,
    PER_LATENT,
    TOP_K,
    TRANSCODERS,
    DictionarySource,
)
from workers.folders import fill_folder

_BLOCK = 8192
_SINGULAR = 1e-6
"""Singular values of M below this share of the largest are not inverted."""


class CannotRealignError(Exception):
    """No exact fold exists; the message says why, for a person."""


def realign(source: DictionarySource, mapping: AffineMap, folder: Path) -> Path:
    """A dictionary that sees the activations behind a map.

    Memory: the dictionary once more in its own type.

    Args:
        mapping: from the activations that the new dictionary reads to those the old one knows.
        folder: where its folder is made, named by a digest of its content's origin.

    Returns:
        The new dictionary's folder.

    Raises:
        CannotRealignError: the encoder does not see an affine function of the activations, or
            codes them one after another.
    """
    _check(source)
    if source.architecture not in PER_LATENT | TOP_K:
        raise CannotRealignError(
            f"dictionary {source.name!r} is a {source.architecture} encoder, whose latents are no "
            "function of one linear form each"
        )
    tensors, config = source.tensors(), {}
    M, t = torch.from_numpy(mapping.M), torch.from_numpy(mapping.t)
    before = torch.from_numpy(bias_on_input(source))
    if source.config.get("rescale_acts_by_decoder_norm"):
        # Where M stretches, decoder norms change: they are folded into the weights for good.
        norm = tensors["W_dec"].double().norm(dim=-1)
        tensors["W_enc"] = tensors["W_enc"].double() * norm
        tensors["b_enc"] = tensors["b_enc"].double() * norm
        tensors["W_dec"] = tensors["W_dec"].double() / norm[:, None]
        config["rescale_acts_by_decoder_norm"] = False
    new = dict(tensors)
    if source.architecture in TRANSCODERS:
        after = before
        if "W_skip" in tensors:
            skip = tensors["W_skip"].double()
            new["W_skip"] = skip @ M.T
            new["b_dec"] = tensors["b_dec"].double() + t @ skip.T
    else:
        inverse = torch.from_numpy(np.linalg.pinv(mapping.M, rcond=_SINGULAR))
        new["W_dec"] = _blocks(tensors["W_dec"], lambda part: part @ inverse, 0)
        new["b_dec"] = (tensors["b_dec"].double() - t) @ inverse
        after = before
        if source.config.get("apply_b_dec_to_input"):
            # The encoder will subtract this in its own precision.
            after = new["b_dec"].to(tensors["b_dec"].dtype).double()
    new["W_enc"] = _blocks(tensors["W_enc"], lambda part: M @ part, 1)
    # x·M·W_enc − after·M·W_enc + b′ must equal (x·M + t − before)·W_enc + b.
    moved = (t - before + after @ M) @ tensors["W_enc"].double()
    if source.architecture in GATED:
        new["b_gate"] = tensors["b_gate"].double() + moved
        new["b_mag"] = tensors["b_mag"].double() + moved * tensors["r_mag"].double().exp()
    else:
        new["b_enc"] = tensors["b_enc"].double() + moved
    digest = sha256_json([source.digest, _digest(mapping.M), _digest(mapping.t)])
    return _write(source, new, config, folder / digest)


def rescale_latents(source: DictionarySource, factors: Mapping[int, float], folder: Path) -> Path:
    """A dictionary some of whose latents are multiplied by a factor above 0.

    Raises:
        CannotRealignError: latents compete, so that one's size decides over others.
    """
    if source.architecture not in PER_LATENT:
        raise CannotRealignError(
            f"latents of dictionary {source.name!r} ({source.architecture}) compete, so that one "
            "cannot be scaled alone"
        )
    new = {name: tensor.double() for name, tensor in source.tensors().items()}
    for index, factor in factors.items():
        new["W_dec"][index] /= factor
        if source.architecture in GATED:
            new["r_mag"][index] += np.log(factor)
            new["b_mag"][index] *= factor
            continue
        new["W_enc"][:, index] *= factor
        new["b_enc"][index] *= factor
        if source.architecture in JUMPRELU:
            new["threshold"][index] *= factor
    digest = sha256_json([source.digest, sorted(factors.items())])
    return _write(source, new, {}, folder / digest)


def _check(source: DictionarySource) -> None:
    if not affine_input(source):
        raise CannotRealignError(
            f"dictionary {source.name!r} normalises each token "
            f"({source.config.get('normalize_activations')}), which no fixed map folds into"
        )


def _blocks(tensor: Tensor, change: Callable[[Tensor], Tensor], dim: int) -> Tensor:
    """Changed in float64 a block at a time, kept in its own type."""
    parts = (change(part.double()).to(tensor.dtype) for part in tensor.split(_BLOCK, dim=dim))
    return torch.cat(list(parts), dim=dim)


def _write(
    source: DictionarySource, tensors: Mapping[str, Tensor], changed: dict[str, bool], folder: Path
) -> Path:
    stored = source.tensors()
    ready = {name: t.to(stored[name].dtype).contiguous() for name, t in tensors.items()}
    config = json.loads((source.path / CONFIG_FILE).read_text())

    def fill(partial: Path) -> None:
        save_file(ready, str(partial / WEIGHTS_FILE))
        (partial / CONFIG_FILE).write_text(json.dumps({**config, **changed}))

    return fill_folder(folder, fill)


def _digest(values: NDArray[np.float64]) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()
