"""Has a whole dictionary left its gate, and does realigning its site bring it back?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from workers.diagnosis.question import DictionaryHealth, Thresholds
from workers.diagnosis.trials import Trials
from workers.features.dictionaries import DictionarySource
from workers.features.health import HealthMeter

Float32 = NDArray[np.float32]

TOKENS = 2048
"""Reconstructed for one figure."""
REALIGNED = ("scale", "procrustes")
"""Maps that lose nothing: behind a ridge map, what it could not predict would be missing."""


@dataclass(frozen=True)
class Gate:
    """A dictionary's health and why it is not what it was."""

    stale: bool
    """Out of its gate on the candidate, and under every map that was tried."""
    reason: str
    figures: dict[str, Any]


def measure(source: DictionarySource, x: Float32) -> DictionaryHealth:
    """FVU and L0 on activations [T, d_in]; a transcoder has no FVU here."""
    meter = HealthMeter(source, torch.device("cpu"), None)
    every = np.ones(len(x), np.bool_)
    meter.update(
        {source.site: torch.from_numpy(np.ascontiguousarray(x))},
        [len(x)],
        codes=None,
        norms=np.linalg.norm(x, axis=1).astype(np.float32),
        kept=every,
        sampled=every,
        outliers=0,
    )
    found = meter.sums.finalise()
    return DictionaryHealth(found["fvu"], found["l0"])


def changes(
    baseline: DictionaryHealth, now: DictionaryHealth, fvu_max: float, limits: Thresholds
) -> list[str]:
    """Which gates a dictionary has left, each as a phrase; empty for none."""
    found = []
    if now.fvu is not None:
        before = baseline.fvu
        worse = before is not None and (
            now.fvu > limits.fvu_ratio * before and now.fvu - before > limits.fvu_difference
        )
        if worse or (now.fvu > fvu_max and (before is None or before <= fvu_max)):
            was = "" if before is None else f" (baseline {before:.2f})"
            found.append(f"FVU {now.fvu:.2f}{was}")
    if now.l0 is not None and baseline.l0:
        ratio = now.l0 / baseline.l0
        if ratio > limits.l0_ratio or ratio < 1 / limits.l0_ratio:
            found.append(f"L0 {now.l0:.1f} (baseline {baseline.l0:.1f})")
    return found


def dictionary_gate(trials: Trials, source: DictionarySource) -> Gate:
    """Judge one dictionary; its latents' baseline figures from the snapshots where given."""
    question = trials.question
    maps, sides = trials.maps(source.site), trials.sides_of(source.site)
    rows = np.flatnonzero(trials.half == 1)
    rows = rows[:: max(len(rows) // TOKENS, 1)][:TOKENS]
    a, b = sides.a[source.site][rows], sides.b[source.site][rows]
    before = _given(question.health_baseline, source.name) or measure(source, a)
    now = _given(question.health_candidate, source.name) or measure(source, b)
    realigned = {kind: measure(source, maps.get(kind, 0)(b)) for kind in REALIGNED}
    fvu_max, limits = question.policy.fvu_max, question.thresholds
    left = changes(before, now, fvu_max, limits)
    remain = {kind: changes(before, h, fvu_max, limits) for kind, h in realigned.items()}
    return Gate(
        bool(left) and all(remain.values()),
        " and ".join(left),
        {
            "baseline": _figure(before),
            "candidate": _figure(now),
            **{kind: _figure(h) for kind, h in realigned.items()},
        },
    )


def _given(health: Mapping[str, DictionaryHealth], name: str) -> DictionaryHealth | None:
    return health.get(name)


def _figure(health: DictionaryHealth) -> dict[str, float | None]:
    return {"fvu": health.fvu, "l0": health.l0}
