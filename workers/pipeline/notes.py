"""What a reader must know of a comparison's margins and controls beside its verdicts."""

from collections.abc import Iterator

import numpy as np

from app.monitors.policy import ControlPolicy, DriftPolicy
from workers.drift.policy import Policy
from workers.drift.verdicts import VerdictTable

_FLOOR = "noise_floor:"
_LABELLED = ("random_features", "permuted_labels")
"""Controls that need labels and raw activations."""


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
    blind = [name for name in _LABELLED if getattr(policy.controls, name)]
    if policy.baselines:
        blind.append("baselines")
    if labelled and blind and policy.activation_tokens == 0:
        yield (
            f"No raw activations were kept (activation_tokens is 0), so that {', '.join(blind)} "
            "were not told for features with a concept."
        )
