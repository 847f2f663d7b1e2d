"""Capture: the batches of one shard, from token ids to the arrays of a snapshot."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack
from torch import Tensor

from workers.capture.activations import ActivationKeeper
from workers.capture.batches import BatchPlan
from workers.capture.forward import SiteReader
from workers.capture.loading import LoadedModel
from workers.capture.numerics import apply_threads
from workers.capture.tokenization import TokenizedCorpus
from workers.errors import EvaluationError
from workers.features.health import HealthMeter, HealthSums, sample_tokens
from workers.features.plan import FeaturePlan, FeatureValues
from workers.snapshots.format import OUTLIER, SPECIAL, ActivationContent, ShardContent

OUTLIER_FACTOR = 10.0
"""A token is an outlier where its norm exceeds this many medians of its own sequence. Attention
sinks (BOS and its like) have norms of hundreds of medians and would rule every sum of squares."""

OnBatch = Callable[[int, int], None]
"""Told (batches done, batches of this shard) after each batch; may raise to stop."""


@dataclass(frozen=True)
class Capture:
    """What one shard adds to a snapshot."""

    content: ShardContent
    health: Mapping[str, HealthSums]
    """By dictionary."""
    activations: ActivationContent | None = None
    """Raw activations of some documents, where any were asked for."""

    def health_tensors(self) -> dict[str, NDArray]:
        """The health sums as tensors for the shard's file."""
        return {
            key: value
            for name, sums in sorted(self.health.items())
            for key, value in sums.to_tensors(name).items()
        }


def capture_batches(
    model: LoadedModel,
    tokens: TokenizedCorpus,
    plan: BatchPlan,
    first_batch: int,
    stop_batch: int,
    features: FeaturePlan,
    on_batch: OnBatch | None = None,
    *,
    activation_sequences: NDArray[np.bool_] | None = None,
) -> Capture:
    """Read the plan's sites and evaluate its features over batches [first_batch, stop_batch).

    The numbers depend on the corpus, the plan and the checkpoint, not on which other batches are
    in the same call.

    Args:
        activation_sequences: [sequences] whose raw activations are kept (`sample_sequences`).

    Raises:
        EvaluationError: a site or feature does not fit the checkpoint, or an activation is NaN or
            infinite, naming the site and the document.
    """
    if not 0 <= first_batch < stop_batch <= plan.batches:
        raise ValueError(f"no batches {first_batch} to {stop_batch} in a plan of {plan.batches}")
    apply_threads(model.numerics)
    reader = SiteReader(model, features.sites)
    evaluator = features.evaluator(reader.widths, model.device)
    owner = np.repeat(tokens.document, tokens.lengths)
    sample = sample_tokens(owner, tokens.special)
    meters = {
        name: HealthMeter(source, model.device, reader.widths.get(str(source.output_site)))
        for name, source in features.dictionaries.items()
    }
    keeper = None
    if activation_sequences is not None:
        if len(activation_sequences) != len(tokens.document):
            raise ValueError(f"{len(activation_sequences)=} for {len(tokens.document)} sequences")
        keeper = ActivationKeeper(reader.widths, model.device)
    batches: list[tuple[_Batch, FeatureValues, NDArray[np.uint8]]] = []
    with torch.inference_mode():
        for batch in range(first_batch, stop_batch):
            rows = _Batch.of(tokens, plan.sequences(batch))
            activations = reader.read(*rows.padded(tokens, model.pad_id))
            norms = _norms(activations, rows, owner)
            outliers = {site: _outliers(norm, rows, tokens) for site, norm in norms.items()}
            values = evaluator.evaluate(activations, rows.lengths)
            if keeper is not None and activation_sequences is not None:
                keeper.add(
                    activations, np.repeat(activation_sequences[rows.sequences], rows.lengths)
                )
            special = tokens.special[rows.tokens]
            for name, meter in meters.items():
                outlier = outliers[meter.source.site]
                kept = ~special & ~outlier
                meter.update(
                    activations,
                    rows.lengths,
                    codes=values.codes.get(name),
                    norms=norms[meter.source.site],
                    kept=kept,
                    sampled=kept & sample[rows.tokens],
                    outliers=int(outlier.sum()),
                )
            flags = special * SPECIAL | np.logical_or.reduce(list(outliers.values())) * OUTLIER
            batches.append((rows, values, flags.astype(np.uint8)))
            if on_batch is not None:
                on_batch(batch + 1 - first_batch, stop_batch - first_batch)
    return Capture(
        _content(tokens, owner, batches),
        {name: meter.sums for name, meter in meters.items()},
        keeper.content() if keeper is not None else None,
    )


@dataclass(frozen=True)
class _Batch:
    """Some sequences as rows of one batch."""

    sequences: NDArray[np.int64]
    lengths: list[int]
    tokens: NDArray[np.int64]
    """[T] positions in the corpus, sequence after sequence."""

    @classmethod
    def of(cls, corpus: TokenizedCorpus, sequences: NDArray[np.int64]) -> "_Batch":
        spans = [np.arange(corpus.offsets[s], corpus.offsets[s + 1]) for s in sequences]
        return cls(sequences, [len(span) for span in spans], np.concatenate(spans))

    def padded(self, corpus: TokenizedCorpus, pad_id: int) -> tuple[Tensor, Tensor]:
        """Token ids [B, L], padded on the right, and lengths [B]."""
        ids = np.full((len(self.lengths), max(self.lengths)), pad_id, dtype=np.int64)
        filled = np.arange(ids.shape[1]) < np.asarray(self.lengths)[:, None]
        ids[filled] = corpus.ids[self.tokens]
        return torch.from_numpy(ids), torch.tensor(self.lengths)


def _norms(
    activations: Mapping[str, Tensor], rows: _Batch, owner: NDArray[np.int32]
) -> dict[str, NDArray[np.float32]]:
    """Norms [T] of each site, after making sure that every activation is finite."""
    norms: dict[str, NDArray[np.float32]] = {}
    for site, x in activations.items():
        norm = torch.linalg.vector_norm(x, dim=-1, dtype=torch.float32).cpu().numpy()
        # A finite norm proves finite entries; an infinite one may be an overflow of squares.
        for at in np.flatnonzero(~np.isfinite(norm)):
            if not torch.isfinite(x[int(at)]).all():
                raise EvaluationError(
                    "activation_not_finite",
                    f"site {site!r} is NaN or infinite at a token of document "
                    f"{owner[rows.tokens[at]]}; the checkpoint is broken, or needs a wider dtype",
                )
        norms[site] = norm
    return norms


def _outliers(
    norm: NDArray[np.float32], rows: _Batch, corpus: TokenizedCorpus
) -> NDArray[np.bool_]:
    """[T] whether a token's norm exceeds `OUTLIER_FACTOR` medians of its sequence's own text."""
    result = np.zeros(len(norm), dtype=np.bool_)
    bounds = np.concatenate([[0], np.cumsum(rows.lengths)])
    special = corpus.special[rows.tokens]
    for first, stop in pairwise(bounds):
        text = norm[first:stop][~special[first:stop]]
        if len(text):
            result[first:stop] = norm[first:stop] > OUTLIER_FACTOR * np.median(text)
    return result


def _content(
    tokens: TokenizedCorpus,
    owner: NDArray[np.int32],
    batches: Sequence[tuple[_Batch, FeatureValues, NDArray[np.uint8]]],
) -> ShardContent:
    positions = np.concatenate([rows.tokens for rows, _, _ in batches])
    sparse = csr_array(vstack([values.sparse for _, values, _ in batches], format="csr"))
    return ShardContent(
        document=owner[positions].astype(np.int32),
        start=tokens.start[positions],
        end=tokens.end[positions],
        flags=np.concatenate([flags for _, _, flags in batches]),
        indptr=sparse.indptr.astype(np.int64),
        indices=sparse.indices.astype(np.int32),
        values=sparse.data.astype(np.float32),
        dense=np.concatenate([values.dense for _, values, _ in batches]),
    )
