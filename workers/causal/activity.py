"""Where features are on in the sample, and how much of the site they hold there."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workers.capture.batches import plan_batches
from workers.capture.forward import SiteReader
from workers.capture.run import OUTLIER_FACTOR
from workers.capture.tokenization import TokenizedCorpus
from workers.causal.handles import Handle
from workers.causal.head import ModelWithHead
from workers.causal.sample import measurable
from workers.errors import EvaluationError
from workers.features.dictionaries import TRANSCODERS, DictionarySource
from workers.features.encoders import Inlet
from workers.features.plan import Evaluator, FeaturePlan

MOSTLY_ON = 0.99
"""A threshold that more than this share of tokens exceeds splits nothing."""
_TOP_SHARE = 0.1


@dataclass(frozen=True)
class Readings:
    """T tokens of the sample, sequence after sequence, in the sample's order."""

    bounds: NDArray[np.int64]
    """[n+1] where each sequence begins."""
    values: Mapping[str, NDArray[np.float32]]
    """[T] by feature."""
    gain: Mapping[str, NDArray[np.float32]]
    """[T] by dictionary: what its normalisation of the input multiplies the output by again."""
    usable: Mapping[str, NDArray[np.bool_]]
    """[T] by site read: text with a next token, and no outlier in norm."""


@dataclass(frozen=True)
class Activity:
    """Where one feature is on."""

    on: NDArray[np.bool_]
    """[T] among usable tokens."""
    off: NDArray[np.bool_]
    """[T] the other usable tokens."""
    size: NDArray[np.float32]
    """[T] signed length of the contribution along the handle's unit vector."""
    rule: str
    """``threshold`` or ``top_decile``."""
    cutoff: float


def read_sample(
    model: ModelWithHead,
    tokens: TokenizedCorpus,
    sequences: NDArray[np.int64],
    plan: FeaturePlan,
    batch_tokens: int,
    on_batch: Callable[[], None],
) -> Readings:
    """Values of the plan's features over the sample, by the same code as a capture.

    Args:
        on_batch: called after each batch; may raise to stop.

    Raises:
        EvaluationError: a site or feature does not fit the checkpoint, or an activation is NaN or
            infinite.
    """
    reader = SiteReader(model.base, plan.sites)
    evaluator = plan.evaluator(reader.widths, model.base.device)
    bounds = np.concatenate([[0], np.cumsum(tokens.lengths[sequences])]).astype(np.int64)
    names = [c.name for c in plan.columns.sparse], [c.name for c in plan.columns.dense]
    values = {name: np.zeros(bounds[-1], np.float32) for name in names[0] + names[1]}
    inlets = {
        name: Inlet(source, model.base.device)
        for name, source in plan.dictionaries.items()
        if _normalises(source)
    }
    gain = {name: np.ones(bounds[-1], np.float32) for name in plan.dictionaries}
    text = np.concatenate([measurable(tokens, int(s)) for s in sequences])
    usable = {site: text.copy() for site in plan.sites}
    batches = plan_batches(tokens.lengths[sequences], batch_tokens)
    with torch.inference_mode():
        for batch in range(batches.batches):
            members = batches.sequences(batch)
            lengths = tokens.lengths[sequences[members]].tolist()
            at = np.concatenate([np.arange(bounds[m], bounds[m + 1]) for m in members])
            ids = _padded(tokens, sequences[members], lengths, model.base.pad_id)
            x = reader.read(ids, torch.tensor(lengths))
            _evaluate(evaluator, x, lengths, at, names, values)
            for name, inlet in inlets.items():
                gain[name][at] = _gain(inlet, x[plan.dictionaries[name].site])
            for site, activations in x.items():
                usable[site][at] &= ~_outliers(site, activations, lengths, text[at])
            on_batch()
    return Readings(bounds, values, gain, usable)


def find_activity(handle: Handle, readings: Readings) -> Activity | None:
    """Where a feature is on: by its own threshold, or by the top decile of its value.

    A latent contributes its value; a read-out contributes what its value differs by from the mean
    over tokens where it is off. The top decile stands in where a read-out's threshold leaves no
    token, or nearly none, on one side.

    Returns:
        None if no usable token is on, or none off.
    """
    value, usable = readings.values[handle.name], readings.usable[handle.reads]
    rule, cutoff = "threshold", handle.threshold
    on = usable & (value > cutoff)
    share = on.sum() / max(int(usable.sum()), 1)
    if handle.dictionary is None and (share == 0 or share > MOSTLY_ON) and usable.any():
        rule, cutoff = "top_decile", float(np.quantile(value[usable], 1 - _TOP_SHARE))
        on = usable & (value > cutoff)
    off = usable & ~on
    if not on.any() or not off.any():
        return None
    if handle.dictionary is not None:
        size = value * readings.gain[handle.dictionary] * np.float32(handle.scale)
    else:
        rest = value[off].mean(dtype=np.float64)
        size = ((value - rest) * handle.scale).astype(np.float32)
    return Activity(on, off, size, rule, cutoff)


def _evaluate(
    evaluator: Evaluator,
    x: Mapping[str, Tensor],
    lengths: Sequence[int],
    at: NDArray[np.int64],
    names: tuple[list[str], list[str]],
    values: dict[str, NDArray[np.float32]],
) -> None:
    found = evaluator.evaluate(x, lengths)
    columns = found.sparse.tocsc()
    for column, name in enumerate(names[0]):
        entries = slice(columns.indptr[column], columns.indptr[column + 1])
        values[name][at[columns.indices[entries]]] = columns.data[entries]
    for column, name in enumerate(names[1]):
        values[name][at] = found.dense[:, column]


def _padded(
    tokens: TokenizedCorpus, sequences: NDArray[np.int64], lengths: Sequence[int], pad_id: int
) -> Tensor:
    ids = np.full((len(lengths), max(lengths)), pad_id, dtype=np.int64)
    for row, sequence in enumerate(sequences):
        ids[row, : lengths[row]] = tokens.ids[tokens.offsets[sequence] :][: lengths[row]]
    return torch.from_numpy(ids)


def _normalises(source: DictionarySource) -> bool:
    kind = source.config.get("normalize_activations", "none")
    return source.architecture not in TRANSCODERS and kind not in (None, "none")


def _gain(inlet: Inlet, x: Tensor) -> NDArray[np.float32]:
    """[T] the factor of SAELens's way back to the site's scale.

    The way back is x·gain + shift with both the same for all entries of a token, and can be gone
    once per way in.
    """
    inlet(x.to(inlet.dtype))
    ends = torch.zeros_like(x, dtype=inlet.dtype)
    ends[:, 0] = 1
    back = inlet.sae.run_time_activation_norm_fn_out(ends)
    return (back[:, 0] - back[:, 1]).float().cpu().numpy()


def _outliers(
    site: str, x: Tensor, lengths: Sequence[int], text: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """[T] tokens whose norm exceeds `OUTLIER_FACTOR` medians of their sequence's text."""
    norm = torch.linalg.vector_norm(x, dim=-1, dtype=torch.float32).cpu().numpy()
    if not np.isfinite(norm).all() and not bool(torch.isfinite(x).all()):
        raise EvaluationError(
            "activation_not_finite",
            f"site {site!r} is NaN or infinite; the checkpoint is broken, or needs a wider dtype",
        )
    result = np.zeros(len(norm), dtype=np.bool_)
    for first, stop in pairwise(np.concatenate([[0], np.cumsum(lengths)])):
        if text[first:stop].any():
            median = np.median(norm[first:stop][text[first:stop]])
            result[first:stop] = norm[first:stop] > OUTLIER_FACTOR * median
    return result
