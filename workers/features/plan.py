"""The feature plan: which sites to read, and how each feature's value follows from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from app.registry.definitions import Composite, Feature, SaeLatent
from workers.errors import EvaluationError
from workers.features import composites
from workers.features.dictionaries import SIGNED, DictionarySource
from workers.features.encoders import Encoder, make_encoder
from workers.features.readouts import Readout, SiteReadouts, check_readout
from workers.features.sparse import from_dense, from_parts, place
from workers.snapshots.format import Column, Columns


@dataclass(frozen=True)
class FeatureValues:
    """Feature values of T tokens."""

    sparse: csr_array
    """float32 [T, S], columns as `FeaturePlan.columns.sparse`; indices ascending, no stored 0."""
    dense: NDArray[np.float32]
    """[T, D], columns as `FeaturePlan.columns.dense`."""
    codes: Mapping[str, csr_array]
    """All latents [T, d_sae] of each dictionary whose encoder gives them anyway."""


@dataclass(frozen=True)
class FeaturePlan:
    """An immutable plan; `evaluator` puts it to work on a device."""

    features: Mapping[str, Feature]
    """By name, in the set's order; empty for a whole dictionary."""
    dictionaries: Mapping[str, DictionarySource]
    """Those that are read, by name."""
    columns: Columns
    sites: tuple[str, ...]
    """Every site that is read, once."""
    whole: bool
    """Whether the plan is all latents of one dictionary."""

    @classmethod
    def build(
        cls, features: Sequence[Feature], dictionaries: Mapping[str, DictionarySource]
    ) -> "FeaturePlan":
        """Plan a feature set.

        Latents, and composites of latents that cannot be negative, are stored sparse; the rest
        dense.

        Args:
            features: definitions that `check_feature_list` accepts.
            dictionaries: by the name that features call them; more than needed do no harm.

        Raises:
            EvaluationError: a dictionary is missing, or a latent's index is out of range.
        """
        by_name: dict[str, Feature] = {feature.name: feature for feature in features}
        if not by_name:
            raise EvaluationError("features_empty", "the feature set has no features")
        used: dict[str, DictionarySource] = {}
        sites: list[str] = []
        for feature in by_name.values():
            if isinstance(feature, SaeLatent):
                used[feature.dictionary] = _dictionary_of(feature, dictionaries)
                sites.append(used[feature.dictionary].site)
            elif not isinstance(feature, Composite):
                sites.append(feature.site)

        sparse = {
            name: used[feature.dictionary].architecture not in SIGNED
            for name, feature in by_name.items()
            if isinstance(feature, SaeLatent)
        }
        for composite in composites.evaluation_order(by_name):
            sparse[composite.name] = composites.is_sparse(
                composite, lambda name: sparse.get(name, False)
            )
        stored = [
            name for name, f in by_name.items() if isinstance(f, SaeLatent) or sparse.get(name)
        ]
        columns = Columns(
            sparse=tuple(Column(name, by_name[name].threshold) for name in stored),
            dense=tuple(
                Column(name, f.threshold) for name, f in by_name.items() if name not in set(stored)
            ),
        )
        return cls(by_name, used, columns, tuple(dict.fromkeys(sites)), whole=False)

    @classmethod
    def whole_dictionary(cls, dictionary: DictionarySource) -> "FeaturePlan":
        """Plan all latents of a dictionary; column i is latent i, named `latent-<i>`."""
        names = (Column(f"latent-{index}") for index in range(dictionary.d_sae))
        columns = Columns(sparse=tuple(names))
        return cls({}, {dictionary.name: dictionary}, columns, (dictionary.site,), whole=True)

    def check(self, widths: Mapping[str, int]) -> None:
        """Refuse a checkpoint whose sites the features do not fit.

        Args:
            widths: of each site, as measured on the checkpoint.

        Raises:
            EvaluationError: naming the feature or dictionary, its size and the site's width.
        """
        for dictionary in self.dictionaries.values():
            width = widths[dictionary.site]
            if dictionary.d_in != width:
                raise EvaluationError(
                    "width_mismatch",
                    f"dictionary {dictionary.name!r} takes {dictionary.d_in} entries (d_in), but "
                    f"site {dictionary.site!r} of this checkpoint is {width} wide",
                )
        for feature in self.features.values():
            if not isinstance(feature, SaeLatent | Composite):
                check_readout(feature, widths[feature.site])

    def evaluator(self, widths: Mapping[str, int], device: torch.device) -> "Evaluator":
        """Read what the features need onto a device.

        Raises:
            EvaluationError: as `check`, or a dictionary's weights are missing or not finite.
        """
        self.check(widths)
        return Evaluator(self, widths, device)


class Evaluator:
    """A feature plan with its weights in memory."""

    def __init__(self, plan: FeaturePlan, widths: Mapping[str, int], device: torch.device) -> None:
        self._plan = plan
        position = {column.name: at for at, column in enumerate(plan.columns.sparse)}
        self._position = position
        self._dense_position = {c.name: at for at, c in enumerate(plan.columns.dense)}
        self._latents = {
            name: _Latents(source, plan, position, device)
            for name, source in plan.dictionaries.items()
        }
        self._order = composites.evaluation_order(plan.features)
        readouts: dict[str, list[tuple[int, Readout]]] = {}
        for name, feature in plan.features.items():
            if not isinstance(feature, SaeLatent | Composite):
                at = self._dense_position[name]
                readouts.setdefault(feature.site, []).append((at, feature))
        self._readouts = {
            site: SiteReadouts(tuple(found), widths[site], device)
            for site, found in readouts.items()
        }

    def evaluate(self, activations: Mapping[str, Tensor], lengths: Sequence[int]) -> FeatureValues:
        """Feature values from the activations of some whole sequences.

        Args:
            activations: of each site of the plan [T, width].
            lengths: tokens of each sequence, Σ = T.
        """
        tokens = sum(lengths)
        codes: dict[str, csr_array] = {}
        sparse = from_parts([], [], [], (tokens, len(self._position)))
        for name, latents in self._latents.items():
            values, everything = latents.encode(activations[latents.source.site], lengths)
            if everything is not None:
                codes[name] = everything
            sparse = values if len(self._latents) == 1 else sparse + values
        dense = np.zeros((tokens, len(self._dense_position)), dtype=np.float32)
        for site, readouts in self._readouts.items():
            dense[:, readouts.columns] = readouts.evaluate(activations[site])
        if self._order:
            sparse = self._compose(sparse, dense)
        sparse.sort_indices()
        return FeatureValues(sparse, dense, codes)

    def _compose(self, sparse: csr_array, dense: NDArray[np.float32]) -> csr_array:
        """Fill in the composites: dense ones in place, sparse ones added to the result."""
        by_column = sparse.tocsc()
        done: dict[str, NDArray[np.float32]] = {}

        def value(name: str) -> NDArray[np.float32]:
            if name in done:
                return done[name]
            if name in self._dense_position:
                return dense[:, self._dense_position[name]]
            at = self._position[name]
            column = np.zeros(len(dense), dtype=np.float32)
            entries = slice(by_column.indptr[at], by_column.indptr[at + 1])
            column[by_column.indices[entries]] = by_column.data[entries]
            return column

        added: list[str] = []
        for composite in self._order:
            done[composite.name] = composites.evaluate(composite, value)
            if composite.name in self._position:
                added.append(composite.name)
            else:
                dense[:, self._dense_position[composite.name]] = done[composite.name]
        if added:
            targets = np.array([self._position[name] for name in added], dtype=np.int64)
            block = from_dense(np.stack([done[name] for name in added], axis=1))
            sparse = csr_array(sparse + place(block, targets, len(self._position)))
        return sparse


class _Latents:
    """The latents of one dictionary and the sparse columns that they fill."""

    def __init__(
        self,
        source: DictionarySource,
        plan: FeaturePlan,
        position: Mapping[str, int],
        device: torch.device,
    ) -> None:
        self.source = source
        self._width = len(position)
        self._targets: list[NDArray[np.int64]] = []
        watched: dict[int, list[int]] = {}
        for name, feature in plan.features.items():
            if isinstance(feature, SaeLatent) and feature.dictionary == source.name:
                watched.setdefault(feature.index, []).append(position[name])
        columns = None if plan.whole else np.array(sorted(watched), dtype=np.int64)
        self.encoder: Encoder
        self.encoder, self._everything = make_encoder(source, device, columns)
        if columns is None:
            return
        # Features may share a latent: as many placements as the most shared latent has features.
        for turn in range(max(len(found) for found in watched.values())):
            target = np.full(self.encoder.width, -1, dtype=np.int64)
            for at, index in enumerate(columns.tolist()):
                if turn < len(watched[index]):
                    target[index if self._everything else at] = watched[index][turn]
            self._targets.append(target)

    def encode(self, x: Tensor, lengths: Sequence[int]) -> tuple[csr_array, csr_array | None]:
        """The plan's sparse columns that this dictionary fills, and all latents where known."""
        values = self.encoder.encode(x, lengths)
        everything = values if self._everything else None
        if not self._targets:
            return values, everything
        placed = [place(values, target, self._width) for target in self._targets]
        return csr_array(sum(placed[1:], start=placed[0])), everything


def _dictionary_of(
    feature: SaeLatent, dictionaries: Mapping[str, DictionarySource]
) -> DictionarySource:
    source = dictionaries.get(feature.dictionary)
    if source is None:
        raise EvaluationError(
            "dictionary_missing",
            f"feature {feature.name!r} names dictionary {feature.dictionary!r}; known are "
            f"{', '.join(sorted(dictionaries)) or 'none'}",
        )
    if feature.index >= source.d_sae:
        raise EvaluationError(
            "latent_out_of_range",
            f"feature {feature.name!r} names latent {feature.index} of dictionary "
            f"{feature.dictionary!r}, which has {source.d_sae} (0 to {source.d_sae - 1})",
        )
    return source
