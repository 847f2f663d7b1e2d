"""The rule behind `recommended`: a latent must beat chance, the words and the search itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan

from workers.baselines.aurocs import Auroc, Difference
from workers.drift.policy import Policy

MARGIN = Policy().concept
"""The largest difference of AUROC that does not matter, as in evaluations."""


@dataclass(frozen=True)
class Evidence:
    """What half B says of a candidate; intervals of all candidates hold together."""

    own: Auroc
    against: Mapping[str, Difference]
    """By read-out, the candidate minus it."""
    null_best: float
    """95th percentile of the best AUROC of all latents on half B under labels without meaning."""
    random_limit: float
    """95th percentile of random directions that fire as often."""
    latents: int


def reasons_against(found: Evidence) -> list[str]:
    """Why a candidate is not recommended, a sentence each; none if it is.

    - The interval of its AUROC lies above .5, and the AUROC above what the best of all latents
      reaches under labels without meaning, and above random directions that fire as often.
    - It is shown to beat the token lookup, not by less than the margin, and is not shown to lose to
      the bag of words, with which it can be compared.
    """
    own = found.own
    against: list[str] = []
    if not own.lower > 0.5:
        against.append(
            f"Not shown to be better than chance: AUROC {own.value:.3f}, interval "
            f"{own.lower:.3f} to {own.upper:.3f}."
        )
    if not own.value > found.null_best:
        against.append(
            f"The best of {found.latents:,} latents looks as good under shuffled labels: AUROC "
            f"{own.value:.3f} beside {found.null_best:.3f}."
        )
    if not own.value > found.random_limit:
        against.append(
            f"A random direction that fires as often reads it as well: AUROC {own.value:.3f} "
            f"beside {found.random_limit:.3f}."
        )
    lookup = found.against["token_lookup"]
    if lookup.upper < 0:
        against.append(
            f"The token alone tells more: a token lookup has AUROC {lookup.baseline:.3f}, the "
            f"latent {own.value:.3f}."
        )
    elif not lookup.lower > 0 or isnan(lookup.upper):
        against.append(
            f"Not shown to beat the token alone: a token lookup has AUROC {lookup.baseline:.3f}, "
            f"the latent {own.value:.3f} (difference {lookup.lower:+.3f} to {lookup.upper:+.3f})."
        )
    elif lookup.upper < MARGIN:
        against.append(
            f"Ahead of a token lookup by less than matters: by {lookup.value:.3f}, at most "
            f"{lookup.upper:.3f}, beside a margin of {MARGIN:g}; a better table would do as well."
        )
    bag = found.against["bag_of_words"]
    if isnan(bag.upper):
        against.append(
            "Not held against a bag of words: the labels leave no interval of their difference."
        )
    elif bag.upper < 0:
        against.append(
            f"The words before it tell more: a bag of words has AUROC {bag.baseline:.3f}, the "
            f"latent {own.value:.3f}."
        )
    return against


def remarks(found: Evidence) -> list[str]:
    """What a reader should know of a candidate beside the rule, a sentence each."""
    probe = found.against["probe"]
    if probe.upper < 0:
        return [
            f"A logistic probe at the same site reads it better: AUROC {probe.baseline:.3f}, the "
            f"latent {found.own.value:.3f}; where the concept matters more than the latent, watch "
            "a probe."
        ]
    return []
