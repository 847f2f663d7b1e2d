"""Measuring what features do: ablation against controls, and steering."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from app.registry.definitions import Composite, Feature
from workers.capture.forward import SiteReader
from workers.capture.numerics import apply_threads
from workers.capture.tokenization import TokenizedCorpus
from workers.causal.activity import Activity, Readings, find_activity, read_sample
from workers.causal.handles import Handle, make_handles
from workers.causal.head import ModelWithHead
from workers.causal.interventions import Edit, EditedForward
from workers.causal.measurement import CausalMeasurement, empty_measurement
from workers.causal.sample import matched, random_units, sample_sequences
from workers.causal.settings import CausalSettings
from workers.causal.tally import Tally
from workers.features.dictionaries import DictionarySource
from workers.features.plan import FeaturePlan

OnBatch = Callable[[int, int], None]
"""Told (sequences done, sequences of the sample) after each forward pass; may raise to stop."""

_LOGITS_AT_ONCE = 1 << 26
"""Logits of one forward pass: 256 MiB in float32, and a few times that while they are compared."""
_SILENT = "Never on in the sample of {tokens} tokens, so that there is nothing to remove."


@dataclass(frozen=True)
class Arm:
    """One row of a forward pass: an intervention for one feature on one sequence."""

    feature: int
    kind: str
    """``ablated``, ``random``, ``inactive`` or ``steered``."""
    direction: int
    """Which random direction."""
    edit: Edit
    read: NDArray[np.int64]
    """Positions at which its effect is measured."""


def measure(
    model: ModelWithHead,
    tokens: TokenizedCorpus,
    definitions: Sequence[Feature],
    dictionaries: Mapping[str, DictionarySource],
    settings: CausalSettings,
    on_batch: OnBatch | None = None,
) -> CausalMeasurement:
    """Remove and add each feature's contribution on a sample of the corpus.

    The sample, the random directions and the steered documents depend on the corpus, the features'
    names and the settings alone, so that two checkpoints are measured on the same tokens.

    Args:
        definitions: features that `check_feature_list` accepts.
        dictionaries: by the name that features call them.

    Raises:
        EvaluationError: a feature does not fit the checkpoint, or its values are not finite.
    """
    apply_threads(model.base.numerics)
    simple = [feature for feature in definitions if not isinstance(feature, Composite)]
    if not simple:
        _, reasons = make_handles(definitions, dictionaries, {})
        return empty_measurement(
            reasons,
            settings.to_json(),
            directions=settings.random_directions,
            tokenizer_digest=tokens.tokenizer_digest,
        )
    plan = FeaturePlan.build(simple, dictionaries)
    widths = SiteReader(model.base, plan.sites).widths
    plan.check(widths)
    handles, reasons = make_handles(definitions, dictionaries, widths)
    sequences = sample_sequences(tokens, settings.tokens, settings.seed)
    told = _Progress(on_batch, len(sequences))
    readings = read_sample(model, tokens, sequences, plan, settings.batch_tokens, told)
    active: list[tuple[Handle, Activity]] = []
    for handle in handles:
        found = find_activity(handle, readings)
        if found is None:
            reasons[handle.name] = _SILENT.format(tokens=int(readings.bounds[-1]))
        else:
            active.append((handle, found))
    run = _Run(model, tokens, settings, sequences, readings, active)
    tally = run.all(told)
    silent = {handle.name for handle in handles} - {handle.name for handle, _ in active}
    facts: dict[str, dict[str, Any]] = {
        name: {"reason": reason, "silent": name in silent} for name, reason in reasons.items()
    }
    for handle, activity in active:
        facts[handle.name] = _facts(handle, activity, readings)
    return tally.measurement(
        features=tuple(feature.name for feature in definitions),
        measured=[handle.name for handle, _ in active],
        facts=facts,
        settings=settings.to_json(),
        tokenizer_digest=tokens.tokenizer_digest,
        sample_digest=_digest(tokens, sequences),
    )


class _Run:
    """The interventions of one measurement, sequence by sequence."""

    def __init__(
        self,
        model: ModelWithHead,
        tokens: TokenizedCorpus,
        settings: CausalSettings,
        sequences: NDArray[np.int64],
        readings: Readings,
        active: Sequence[tuple[Handle, Activity]],
    ) -> None:
        self._tokens, self._settings, self._sequences = tokens, settings, sequences
        self._readings, self._active = readings, active
        self._forward = EditedForward(model, [handle.site for handle, _ in active])
        device, count = model.base.device, settings.random_directions
        self._units = [torch.from_numpy(handle.unit).to(device) for handle, _ in active]
        self._random = [
            torch.from_numpy(random_units(h.name, count, len(h.unit), settings.seed)).to(device)
            for h, _ in active
        ]
        self._device = device
        # One sequence of each of the first documents of the sample.
        owner = tokens.document[sequences]
        first = np.sort(np.unique(owner, return_index=True)[1])[: settings.steering_documents]
        self._steered = set(first.tolist())
        self._tally = Tally(
            owner, owner[first], len(active), count, settings.seed, tokens.documents
        )

    def all(self, told: "_Progress") -> Tally:
        """Run every sequence in the sample's order."""
        for at in range(len(self._sequences)):
            self._sequence(at, told)
            told.done += 1
            told()
        return self._tally

    def _sequence(self, at: int, told: "_Progress") -> None:
        arms = [arm for feature in range(len(self._active)) for arm in self._arms(at, feature)]
        if not arms:
            return
        sequence = int(self._sequences[at])
        first, stop = self._tokens.offsets[sequence], self._tokens.offsets[sequence + 1]
        ids = torch.from_numpy(self._tokens.ids[first:stop].astype(np.int64))
        document = int(self._tokens.document[sequence])
        for chunk in self._chunks(arms, len(ids)):
            # The unedited row gives logits wherever one of the edited rows is measured.
            base = np.unique(np.concatenate([arm.read for arm in chunk]))
            reads = [torch.from_numpy(base), *(torch.from_numpy(arm.read) for arm in chunk)]
            logits = self._forward.logits(ids, [None, *(arm.edit for arm in chunk)], reads)
            match = np.concatenate([np.searchsorted(base, arm.read) for arm in chunk])
            target = ids[torch.cat(reads[1:]) + 1]
            self._tally.add(
                document,
                [(arm.feature, arm.kind, arm.direction, len(arm.read)) for arm in chunk],
                logits[: len(base)],
                logits[len(base) :],
                torch.from_numpy(match).to(self._device),
                target.to(self._device),
            )
            told()

    def _arms(self, at: int, feature: int) -> Iterator[Arm]:
        handle, activity = self._active[feature]
        span = slice(self._readings.bounds[at], self._readings.bounds[at + 1])
        on, off = np.flatnonzero(activity.on[span]), np.flatnonzero(activity.off[span])
        size = activity.size[span]

        def arm(kind: str, at: NDArray[np.int64], sizes: Any, unit: Tensor, r: int = 0) -> Arm:
            lengths = torch.from_numpy(np.asarray(sizes, dtype=np.float32))
            return Arm(feature, kind, r, Edit(handle.site, torch.from_numpy(at), lengths, unit), at)

        if len(on):
            yield arm("ablated", on, -size[on], self._units[feature])
            for r, unit in enumerate(self._random[feature]):
                yield arm("random", on, -size[on], unit, r)
            sequence = int(self._sequences[at])
            chosen = matched(handle.name, sequence, off, len(on), self._settings.seed)
            if len(chosen):
                borrowed = -size[on[: len(chosen)]]
                yield arm("inactive", chosen, borrowed, self._units[feature])
        if at in self._steered:
            usable = np.flatnonzero(activity.on[span] | activity.off[span])
            if len(usable):
                mean = float(activity.size[activity.on].mean(dtype=np.float64))
                sizes = np.full(len(usable), self._settings.strength * mean)
                yield arm("steered", usable, sizes, self._units[feature])

    def _chunks(self, arms: Sequence[Arm], length: int) -> Iterator[list[Arm]]:
        """Arms that go through one forward pass, beside the unedited row.

        An arm that reads more logits than fit at once is run again for each part of them.
        """
        rows = max(self._settings.batch_tokens // length - 1, 1)
        # The unedited row gives as many logits again.
        most = max(_LOGITS_AT_ONCE // (2 * self._forward.vocabulary), 1)
        parts = (
            replace(arm, read=arm.read[first : first + most])
            for arm in arms
            for first in range(0, len(arm.read), most)
        )
        chunk: list[Arm] = []
        held = 0
        for arm in parts:
            if chunk and (len(chunk) == rows or held + len(arm.read) > most):
                yield chunk
                chunk, held = [], 0
            chunk.append(arm)
            held += len(arm.read)
        if chunk:
            yield chunk


class _Progress:
    """How far the work is, told after each forward pass."""

    def __init__(self, on_batch: OnBatch | None, total: int) -> None:
        self.done = 0
        self._on_batch, self._total = on_batch, total

    def __call__(self) -> None:
        if self._on_batch is not None:
            self._on_batch(self.done, self._total)


def _facts(handle: Handle, activity: Activity, readings: Readings) -> dict[str, Any]:
    return {
        "reason": None,
        "site": handle.site,
        "activity": activity.rule,
        "cutoff": activity.cutoff,
        "active_tokens": int(activity.on.sum()),
        "tokens": int(readings.usable[handle.reads].sum()),
        "size": float(activity.size[activity.on].mean(dtype=np.float64)),
    }


def _digest(tokens: TokenizedCorpus, sequences: NDArray[np.int64]) -> str:
    digest = hashlib.sha256()
    for sequence in sequences.tolist():
        first, stop = tokens.offsets[sequence], tokens.offsets[sequence + 1]
        digest.update(f"{sequence}:".encode())
        digest.update(tokens.ids[first:stop].astype("<i4").tobytes())
    return digest.hexdigest()
