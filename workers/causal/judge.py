"""From measurements to a causal verdict per feature.

`causal`: removing the feature moves the next token by more than removing random directions of the
same size does: the interval of the excess lies above 0, and the feature lies above what one more
random direction would do. `correlational`: the excess is shown to be less than the random
directions' own effect. Anything else is `not_shown`. Intervals are simultaneous over the features
(Bonferroni), so that each verdict can be read off its own interval.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.causal.compare import effect_drift, steering_cosine
from workers.causal.estimates import (
    KL_FLOOR,
    ClusterSums,
    Estimate,
    cluster_sums,
    log_ratio,
    random_spread,
    ratio,
)
from workers.causal.measurement import CausalMeasurement
from workers.errors import EvaluationError

MIN_CLUSTERS = 10
"""Clusters in which a feature must be on; of fewer, t intervals of skewed sums are not trusted."""


def judge(
    baseline: CausalMeasurement | None,
    candidate: CausalMeasurement,
    groups: NDArray[np.int64],
    alpha: float = 0.05,
) -> dict[str, dict[str, Any]]:
    """Judge every feature of the candidate, and its drift from the baseline.

    Args:
        baseline: measured with the same settings on the same corpus, or None.
        groups: Int64 [documents of the corpus] cluster of each document, 0 or more.
        alpha: error rate over all features together, of each kind of claim.

    Returns:
        Per feature JSON values: `verdict`, `reason`, `effect` with `lower` and `upper` (nats of KL
        beyond random directions), `kl`, `random_effect`, `inactive_effect`, `loss_change`,
        `random_loss_change`, `ratio` with `ratio_lower` and `ratio_upper` (feature over one more
        random direction), `margin`, `clusters`, `active_tokens`, `site`, `activity`, `cutoff`,
        `size`, `drift`, `steering_cosine`.

    Raises:
        EvaluationError: ``causal_mismatch``: the two do not belong together or to the corpus.
    """
    _check(baseline, candidate, groups)
    clusters = int(groups.max()) + 1 if len(groups) else 0
    facts = candidate.facts
    measured = [name for name in candidate.features if facts[name]["reason"] is None]
    level = alpha / max(len(measured), 1)
    sums = {
        name: cluster_sums(candidate, candidate.features.index(name), groups, clusters)
        for name in measured
    }
    spreads = _pooled_spreads(candidate, sums)
    result: dict[str, dict[str, Any]] = {}
    for name in candidate.features:
        if name not in sums:
            verdict = "not_shown" if facts[name].get("silent") else "not_applicable"
            result[name] = {"verdict": verdict, "reason": facts[name]["reason"]}
            continue
        found = _judge_one(sums[name], spreads[name], level)
        fact = {key: value for key, value in facts[name].items() if key != "reason"}
        result[name] = found | fact
        if baseline is not None:
            result[name]["drift"] = effect_drift(baseline, candidate, name, groups, level)
            result[name]["steering_cosine"] = steering_cosine(
                baseline, candidate, name, groups, level
            )
    return result


def _judge_one(sums: ClusterSums, spread: tuple[float, int], level: float) -> dict[str, Any]:
    between, df = spread
    directions = sums.random_kl.shape[1]
    random = ratio(sums.random_kl.mean(axis=1), sums.tokens)
    # The mean of a few random directions is itself an estimate.
    doubt = between * random.value**2 / directions
    effect = ratio(sums.excess, sums.tokens).widened(doubt, df)
    lower, upper = effect.interval(level)
    margin = random.value
    # Against the margin, the random directions' mean counts twice.
    beyond = ratio(sums.kl - 2 * sums.random_kl.mean(axis=1), sums.tokens).widened(4 * doubt, df)
    one_more = log_ratio(sums).widened(between * (1 + 1 / directions), df)
    ratio_lower, ratio_upper = one_more.interval(level)
    figures = {
        "effect": effect.value,
        "lower": finite(lower),
        "upper": finite(upper),
        "level": 1 - level,
        "kl": ratio(sums.kl, sums.tokens).value,
        "random_effect": random.value,
        "inactive_effect": _mean(sums.inactive_kl, sums.inactive_tokens),
        "loss_change": ratio(sums.loss, sums.tokens).value,
        "random_loss_change": ratio(sums.random_loss, sums.tokens).value,
        "ratio": float(np.exp(one_more.value)),
        "ratio_lower": finite(float(np.exp(ratio_lower))),
        "ratio_upper": finite(float(np.exp(ratio_upper))) if ratio_upper < 700 else None,
        "margin": margin,
        "margin_upper": finite(beyond.interval(level)[1] + margin),
        "clusters": sums.clusters,
    }
    verdict, reason = _verdict(sums, df, lower, one_more, ratio_lower, beyond, level, figures)
    return {"verdict": verdict, "reason": reason, **figures}


def _verdict(
    sums: ClusterSums,
    df: int,
    lower: float,
    one_more: Estimate,
    ratio_lower: float,
    beyond: Estimate,
    level: float,
    figures: dict[str, Any],
) -> tuple[str, str]:
    kl, random = figures["kl"], figures["random_effect"]
    measured = (
        f"Removing it moves the next token by {kl:.3g} nats, a random direction of the same size "
        f"by {random:.3g}"
    )
    if sums.clusters < MIN_CLUSTERS:
        return "not_shown", (
            f"On in {sums.clusters} documents or groups of the sample; {MIN_CLUSTERS} are needed."
        )
    if df < 1:
        return "not_shown", (
            f"{measured}; one random direction does not tell how much such directions differ."
        )
    if max(kl, random) <= KL_FLOOR:
        return "not_shown", (
            f"{measured}: nothing moves at this size, so that an effect could not have been shown."
        )
    if lower > 0 and ratio_lower > 0:
        return "causal", (
            f"{measured}: {np.exp(one_more.value):.3g} times as much, beyond what one more random "
            "direction would do."
        )
    if beyond.interval(level)[1] < 0 and random > KL_FLOOR:
        return "correlational", (
            f"{measured}: it is shown to add less than a random direction's own effect."
        )
    return "not_shown", (
        f"{measured}: the interval neither excludes that of random directions nor is it narrow "
        "enough to show that there is no more."
    )


def _pooled_spreads(
    measurement: CausalMeasurement, sums: dict[str, ClusterSums]
) -> dict[str, tuple[float, int]]:
    """Per feature the spread of random directions at its site, pooled over the site's features."""
    by_site: dict[str, list[tuple[float, int]]] = {}
    for name, found in sums.items():
        by_site.setdefault(measurement.facts[name]["site"], []).append(random_spread(found))
    pooled = {site: _pool(parts) for site, parts in by_site.items()}
    return {name: pooled[measurement.facts[name]["site"]] for name in sums}


def _pool(parts: Sequence[tuple[float, int]]) -> tuple[float, int]:
    df = sum(part for _, part in parts)
    return (sum(variance * part for variance, part in parts) / df if df else 0.0), df


def _mean(total: NDArray[np.float64], tokens: NDArray[np.float64]) -> float | None:
    return float(total.sum() / tokens.sum()) if tokens.sum() else None


def _check(
    baseline: CausalMeasurement | None, candidate: CausalMeasurement, groups: NDArray[np.int64]
) -> None:
    for side in (baseline, candidate):
        if side is not None and len(side.documents) and side.documents.max() >= len(groups):
            raise EvaluationError(
                "causal_mismatch",
                f"the measurement has document {side.documents.max()}, but the corpus has "
                f"{len(groups)}; they do not belong together",
            )
    if baseline is not None and dict(baseline.settings) != dict(candidate.settings):
        raise EvaluationError(
            "causal_mismatch",
            "baseline and candidate were measured with different causal settings; measure both "
            "with the same",
        )


def finite(value: float) -> float | None:
    """None where a bound is not known, for JSON."""
    return float(value) if np.isfinite(value) else None
