"""What a feature does in the candidate against what it did in the baseline, paired by document."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.causal.estimates import Array, cluster_sums, cosine, jackknife
from workers.causal.measurement import CausalMeasurement


def effect_drift(
    baseline: CausalMeasurement,
    candidate: CausalMeasurement,
    name: str,
    groups: NDArray[np.int64],
    alpha: float,
) -> dict[str, Any]:
    """Candidate's effect less the baseline's, with an interval of level 1 − alpha.

    Random directions are the same on both sides, so that only documents vary.

    Returns:
        `baseline`, `difference`, `lower`, `upper`, `changed` (None where it cannot be told),
        `reason`.
    """
    if (reason := _unpaired(baseline, candidate, name)) is not None:
        return _untold(reason)
    clusters = int(groups.max()) + 1
    a, b = (
        cluster_sums(side, side.features.index(name), groups, clusters)
        for side in (baseline, candidate)
    )
    estimate = jackknife(
        lambda x, m, y, n: y / n - x / m,
        (a.excess, a.tokens, b.excess, b.tokens),
        a.tokens,
        b.tokens,
    )
    before = float(a.excess.sum() / a.tokens.sum())
    lower, upper = estimate.interval(alpha)
    if not np.isfinite(lower):
        return _untold("On in too few documents to tell how its effect varies.") | {
            "baseline": before,
            "difference": estimate.value,
        }
    changed = bool(lower > 0 or upper < 0)
    return {
        "baseline": before,
        "difference": estimate.value,
        "lower": lower,
        "upper": upper,
        "changed": changed,
        "reason": (
            f"The effect beyond random directions went from {before:.3g} to "
            f"{before + estimate.value:.3g} nats"
            + ("." if changed else "; the interval of the change contains 0.")
        ),
    }


def steering_cosine(
    baseline: CausalMeasurement,
    candidate: CausalMeasurement,
    name: str,
    groups: NDArray[np.int64],
    alpha: float,
) -> dict[str, Any]:
    """Cosine between the logit shifts that steering causes on either side.

    Returns:
        `cosine`, `lower`, `upper` (None where it cannot be told), `reason`.
    """
    reason = _unpaired(baseline, candidate, name)
    if reason is None and baseline.tokenizer_digest != candidate.tokenizer_digest:
        reason = "The tokenizers differ, and with them what each logit stands for."
    if reason is None and baseline.vocabulary != candidate.vocabulary:
        reason = (
            f"The vocabularies have {baseline.vocabulary} and {candidate.vocabulary} entries; "
            "their logits cannot be compared."
        )
    sides = [_steered(side, name, groups) for side in (baseline, candidate)]
    if reason is None and not all(side.any() for side in sides):
        reason = "Steering moved no logit on one side, so that it has no direction there."
    found = cosine(sides[0], sides[1], alpha) if reason is None else None
    if reason is None and found is None:
        reason = "Too few steered documents to tell."
    if found is None:
        return {"cosine": None, "lower": None, "upper": None, "reason": reason}
    bounds = [float(value) if np.isfinite(value) else None for value in found]
    return {
        "cosine": bounds[0],
        "lower": bounds[1],
        "upper": bounds[2],
        "reason": f"Steering moves the logits in directions that agree to a cosine of "
        f"{found[0]:.3f}.",
    }


def _steered(side: CausalMeasurement, name: str, groups: NDArray[np.int64]) -> Array:
    """[C, K] shifts by cluster."""
    if name not in side.features:
        return np.zeros((1, 1))
    rows = side.steered[side.features.index(name)].astype(np.float64)
    result = np.zeros((int(groups.max(initial=0)) + 1, rows.shape[1]))
    np.add.at(result, groups[side.steered_documents], rows)
    return result


def _unpaired(baseline: CausalMeasurement, candidate: CausalMeasurement, name: str) -> str | None:
    if name not in baseline.features:
        return "The baseline was measured without this feature."
    fact, other = baseline.facts[name], candidate.facts[name]
    if fact["reason"] is not None:
        return f"Not measured on the baseline: {fact['reason']}"
    if fact["activity"] != other["activity"]:
        return (
            "On one side the threshold splits nothing and the top decile stands in, so that the "
            "effects are those of different tokens."
        )
    return None


def _untold(reason: str) -> dict[str, Any]:
    return dict.fromkeys(("baseline", "difference", "lower", "upper", "changed")) | {
        "reason": reason
    }
