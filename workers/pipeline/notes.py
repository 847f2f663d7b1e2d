"""What a reader must know of a comparison's margins and controls beside its verdicts."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from app.monitors.policy import ControlPolicy, DriftPolicy
from workers.controls.applicability import LABELLED
from workers.controls.numerics import BENIGN
from workers.drift.policy import Policy
from workers.drift.verdicts import VerdictTable

NAMED = 20
_FLOOR = "noise_floor:"


def stable_by_floor(table: VerdictTable, policy: Policy) -> Iterator[str]:
    """A sentence for each null update whose floor alone makes features `stable`.

    These are features whose effect lies beyond the policy's own margin and within the raised one.

    Args:
        policy: before any noise floor was applied, or after; its own margins count.
    """
    stable = table.verdict == "stable"
    by_source: dict[str, tuple[set[int], list[str]]] = {}
    for estimand, found in table.inference.items():
        own = float(getattr(policy, estimand))
        beyond = stable & found.known & (np.abs(found.effect) > own)
        for source in sorted({str(s) for s in found.margin_source[beyond]}):
            here = np.flatnonzero(beyond & (found.margin_source == source))
            features, raised = by_source.setdefault(source.removeprefix(_FLOOR), (set(), []))
            features.update(here.tolist())
            raised.append(f"{estimand} from {own:.3g} to {found.margin[here].max():.3g}")
    for source, (features, raised) in sorted(by_source.items()):
        yield (
            f"{len(features)} of {int(stable.sum())} stable features lie beyond the policy's own "
            f"margins: the noise floor of {source} has raised them ({', '.join(raised)}), and is "
            "right only if that update changed nothing that matters."
        )


def stable_by_benign_floor(table: VerdictTable, policy: Policy) -> dict[str, Any]:
    """The features that are `stable` only because of checkpoints that a person marked benign.

    These are features of which some interval does not lie within the policy's own margin, which
    the floor of such a checkpoint has raised. Without the mark they would not be shown stable.

    Args:
        policy: before any noise floor was applied, or after; its own margins count.

    Returns:
        `count`, the first `features` by name (the widest beyond its margin first), `checkpoints`.
    """
    stable = table.verdict == "stable"
    beyond: dict[int, float] = {}
    checkpoints: set[str] = set()
    for estimand, found in table.inference.items():
        own = float(getattr(policy, estimand))
        reach = np.maximum(np.abs(found.lower), np.abs(found.upper)) / own
        benign = np.array([str(s).startswith(_FLOOR + BENIGN) for s in found.margin_source])
        for index in np.flatnonzero(stable & benign & found.known & (reach > 1)).tolist():
            beyond[index] = max(beyond.get(index, 0.0), float(reach[index]))
            checkpoints.add(str(found.margin_source[index]).removeprefix(_FLOOR + BENIGN))
    worst = sorted(beyond, key=lambda index: (-beyond[index], table.names[index]))
    return {
        "count": len(beyond),
        "features": [str(table.names[index]) for index in worst[:NAMED]],
        "checkpoints": sorted(checkpoints),
    }


def controls_left_out(policy: DriftPolicy, *, labelled: bool, whole: bool) -> Iterator[str]:
    """A sentence on controls that did not run.

    Args:
        labelled: whether a feature claims a concept.
        whole: whether all latents of a dictionary are watched.
    """
    if whole and policy.causal.features != "none":
        yield (
            "Causal effects are measured for feature sets only: the policy asks for them and none "
            "was measured; put the latents in question into a feature set."
        )
    off = [name for name in ControlPolicy.model_fields if getattr(policy.controls, name) is False]
    if off:
        yield (
            f"The policy leaves out {', '.join(off)}: nothing shows that the features could have "
            "failed there."
        )
    blind = [name for name in LABELLED if getattr(policy.controls, name)]
    if policy.baselines:
        blind.append("baselines")
    if labelled and blind and policy.activation_tokens == 0:
        yield (
            f"No raw activations were kept (activation_tokens is 0), so that {', '.join(blind)} "
            "were not told for features with a concept."
        )
