"""Random features: what a feature says of its concept must be more than a random one would say."""

from collections.abc import Mapping

from workers.controls.outcome import ControlOutcome, FeatureOutcome, count, overall
from workers.controls.readouts import Chance

NAME = "random_features"


def judge(chance: Mapping[str, Chance | str]) -> ControlOutcome:
    """Whether each feature with a concept beats the 95th percentile of matched random read-outs.

    Each random read-out is turned the way in which it reads the concept better, the feature is not:
    the stricter comparison.

    Args:
        chance: of the baseline, from `measure_chance`.
    """
    features = {
        name: FeatureOutcome(None, f"Cannot be told: {found}")
        if isinstance(found, str)
        else _judge(found)
        for name, found in chance.items()
    }
    failed = sum(found.passed is False for found in features.values())
    judged = sum(found.passed is not None for found in features.values())
    detail = (
        f"Of {count(judged, 'feature')} with a concept, {judged - failed} beat the 95th percentile "
        "of random read-outs of the same sites, matched in kind and firing rate."
        if judged
        else "No feature has a concept on which random read-outs could be compared with it."
    )
    return ControlOutcome(
        NAME, overall(features), detail, {"judged": judged, "failed": failed}, features
    )


def _judge(found: Chance) -> FeatureOutcome:
    limit = found.oriented_p95
    passed = bool(found.auroc > limit)
    figures = {
        "auroc": found.auroc,
        "auroc_se": found.se,
        "random_p95": limit,
        "random_mean": found.mean,
        "random_sd": found.sd,
        "directions": len(found.random),
        "documents": found.documents,
        "tokens": found.tokens,
        "positive_tokens": found.positive_tokens,
    }
    beside = (
        f"AUROC {found.auroc:.3f} beside {limit:.3f}, the 95th percentile of {len(found.random)} "
        "matched random directions"
    )
    if passed:
        return FeatureOutcome(True, f"It reads its concept better than chance: {beside}.", figures)
    return FeatureOutcome(
        False,
        f"A random direction with the same firing rate reads the concept as well: {beside}.",
        figures,
    )
