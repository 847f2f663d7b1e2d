"""Features of one site as functions of its activations, with maps folded into their weights.

A probe, a direction, a neuron and a latent of a standard, JumpReLU or gated encoder are each a
linear form with an elementwise function behind it. A map x → x·M + t in front changes the form
alone, W → M·W and c → c + t·W, so that one thin product serves, not one of width². Encoders in
which latents compete, or which normalise each token, are given mapped activations instead.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from app.registry.definitions import Composite, Feature, Neuron, SaeLatent
from workers.diagnosis.maps import AffineMap
from workers.diagnosis.moments import product
from workers.errors import EvaluationError
from workers.features.dictionaries import GATED, JUMPRELU, PER_LATENT, DictionarySource
from workers.features.encoders import Encoder, make_encoder
from workers.features.readouts import check_readout, weights

Array = NDArray[np.float64]
Float32 = NDArray[np.float32]

AFFINE_INPUT = frozenset({"none", "expected_average_only_in", "covariance_whitening"})
"""Normalisations that SAELens does not apply at run time, so that the input stays affine."""


def affine_input(source: DictionarySource) -> bool:
    """Whether a dictionary's encoder sees an affine function of the activations."""
    return source.config.get("normalize_activations", "none") in AFFINE_INPUT


def bias_on_input(source: DictionarySource) -> Array:
    """[d_in] what the encoder subtracts from its input."""
    if "transcoder" in source.architecture or not source.config.get("apply_b_dec_to_input"):
        return np.zeros(source.d_in)
    return source.tensors()["b_dec"].double().numpy()


class SiteHeads:
    """Some features of one site; no composites."""

    def __init__(
        self,
        features: Sequence[Feature],
        dictionaries: Mapping[str, DictionarySource],
        width: int,
    ) -> None:
        """Read what the features need.

        Raises:
            EvaluationError: a feature does not fit the site.
        """
        self._width = width
        self._count = len(features)
        n = len(features)
        self._W, self._c = np.zeros((width, n)), np.zeros(n)
        # value = g·z + m where that exceeds the cutoff and z + gate > 0, with z = x·W + c.
        self._gain, self._shift = np.ones(n), np.zeros(n)
        self._cutoff, self._gate = np.full(n, -np.inf), np.full(n, np.inf)
        self._linear: list[int] = []
        self._competing: dict[str, tuple[Encoder, list[int], list[int]]] = {}
        per_latent: dict[str, list[tuple[int, int]]] = {}
        others: dict[str, list[tuple[int, int]]] = {}
        for at, feature in enumerate(features):
            if isinstance(feature, Composite):
                raise TypeError(f"composite {feature.name!r} has no weights of its own")
            if isinstance(feature, SaeLatent):
                source = dictionaries[feature.dictionary]
                if source.d_in != width:
                    raise EvaluationError(
                        "width_mismatch",
                        f"dictionary {source.name!r} takes {source.d_in} entries (d_in), but site "
                        f"{source.site!r} is {width} wide",
                    )
                own = source.architecture in PER_LATENT and affine_input(source)
                (per_latent if own else others).setdefault(source.name, []).append(
                    (at, feature.index)
                )
                continue
            check_readout(feature, width)
            self._linear.append(at)
            if isinstance(feature, Neuron):
                self._W[feature.index, at] = 1.0
            else:
                self._W[:, at], self._c[at] = weights(feature)
        for name, found in per_latent.items():
            self._read(dictionaries[name], found)
        self._linear += [at for found in per_latent.values() for at, _ in found]
        for name, found in others.items():
            source = dictionaries[name]
            columns = np.array(sorted({index for _, index in found}))
            encoder, everything = make_encoder(source, torch.device("cpu"), columns)
            place = {int(index): i for i, index in enumerate(columns)}
            self._competing[name] = (
                encoder,
                [at for at, _ in found],
                [index if everything else place[index] for _, index in found],
            )

    def _read(self, source: DictionarySource, found: list[tuple[int, int]]) -> None:
        at, index = np.array([p for p, _ in found]), torch.tensor([i for _, i in found])
        tensors = source.tensors()

        def read(name: str) -> Array:
            return tensors[name][..., index].double().numpy()

        self._W[:, at] = read("W_enc")
        self._c[at] = -bias_on_input(source) @ self._W[:, at]
        self._cutoff[at] = 0.0
        if source.architecture in GATED:
            self._gain[at], self._shift[at] = np.exp(read("r_mag")), read("b_mag")
            self._gate[at] = read("b_gate")
        else:
            self._shift[at] = read("b_enc")
        if source.architecture in JUMPRELU:
            self._cutoff[at] = np.maximum(read("threshold"), 0.0)

    @property
    def competing(self) -> bool:
        """Whether some values are no function of one linear form each."""
        return bool(self._competing)

    def forms(self) -> "Reader":
        """The linear forms alone, before the functions behind them."""
        return Reader.linear(self._W, self._c)

    def behind(self, W: Array, c: Array) -> "Reader":
        """The features' functions behind other linear forms; for heads that do not compete."""
        return Reader(self, W.astype(np.float32), c.astype(np.float32))

    def under(self, mapping: AffineMap | None = None) -> "Reader":
        """The features behind a map of the activations."""
        W, c = self._W, self._c
        if mapping is not None:
            W, c = mapping.M @ W, c + mapping.t @ W
        return Reader(self, W.astype(np.float32), c.astype(np.float32), mapping)

    def finish(self, z: Float32, x: Float32, mapping: AffineMap | None) -> Float32:
        """Values from linear forms z [T, n] and the activations they were taken of."""
        values = np.zeros_like(z)
        at = np.array(self._linear, dtype=np.intp)
        if len(at):
            form = z[:, at]
            gain, shift, cutoff, gate = (
                v[at].astype(np.float32)
                for v in (self._gain, self._shift, self._cutoff, self._gate)
            )
            after = form * gain + shift
            values[:, at] = np.where((after > cutoff) & (form + gate > 0), after, 0)
        if self._competing:
            y = x if mapping is None else mapping(x)
            tensor = torch.from_numpy(np.ascontiguousarray(y))
            for encoder, columns, latents in self._competing.values():
                values[:, columns] = encoder.encode(tensor, [len(y)])[:, latents].toarray()
        return values


class Reader:
    """Features, or fitted read-outs, as one function of activations [T, width] → [T, n]."""

    def __init__(
        self, heads: SiteHeads | None, W: Float32, c: Float32, mapping: AffineMap | None = None
    ) -> None:
        """Keep the folded weights W [width, n] and intercepts c [n]."""
        self._heads, self._W, self._c, self._mapping = heads, W, c, mapping

    @classmethod
    def linear(cls, W: Array, c: Array) -> "Reader":
        """Plain linear read-outs."""
        return cls(None, W.astype(np.float32), c.astype(np.float32))

    def __call__(self, x: Float32) -> Float32:
        """Values float32 [T, n]."""
        z = product(x, self._W) + self._c
        return z if self._heads is None else self._heads.finish(z, x, self._mapping)
