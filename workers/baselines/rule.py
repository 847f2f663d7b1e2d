"""The rule behind "earns its keep"."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from workers.baselines.aurocs import Auroc

EarnsKeep = Literal["yes", "no", "not_shown"]

BASELINES = ("probe", "difference_of_means", "token_lookup")
_NAMES = {
    "probe": "a logistic probe",
    "difference_of_means": "a difference of means",
    "token_lookup": "a token lookup",
}


@dataclass(frozen=True)
class Bounds:
    """AUROC of the feature minus that of a baseline, with its interval."""

    value: float
    lower: float
    upper: float


def earns_keep(
    feature: Auroc, bounds: Mapping[str, Bounds | None], margin: float
) -> tuple[EarnsKeep, str]:
    """Whether a feature is worth having beside its baselines, and a sentence why.

    "no": shown to be worse than a baseline by more than the margin, or to be better than the token
    lookup by less than the margin at most. A feature that is ahead of the lookup for sure but by
    less than what matters is "no": the table of an ideal lookup beats any table that was counted.
    "yes": shown to be better than chance and than the token lookup, and not to be worse than probe
    and difference of means by more than the margin.

    Args:
        feature: its own AUROC.
        bounds: by baseline; None where it cannot be told. The intervals hold together.
        margin: the largest difference of AUROC that does not matter.
    """
    own = f"AUROC {feature.value:.3f}"
    worse = [(b, d) for b in BASELINES if (d := bounds[b]) and d.upper < -margin]
    if worse:
        name, bound = min(worse, key=lambda pair: pair[1].value)
        return "no", f"{own}; worse than {_NAMES[name]} by {_by(bound, -1)}."
    lookup = bounds["token_lookup"]
    if lookup and lookup.upper < margin:
        return "no", (
            f"{own}; a token lookup does as well: the feature is ahead by {_by(lookup)}, less than "
            f"the margin {margin:g}."
        )
    doubt = _doubt(feature, bounds, margin)
    if doubt or not lookup:
        return "not_shown", f"{own}; {doubt}."
    return "yes", (
        f"{own}; better than a token lookup by {_by(lookup)}, and not worse than a probe and a "
        f"difference of means by more than {margin:g}."
    )


def _doubt(feature: Auroc, bounds: Mapping[str, Bounds | None], margin: float) -> str | None:
    if not feature.lower > 0.5:
        return (
            f"not shown to be better than chance (interval {feature.lower:.3f} to "
            f"{feature.upper:.3f}): the labels tell no more than {feature.effective_documents:.3g} "
            "documents of equal size would"
        )
    for name in ("token_lookup", "probe", "difference_of_means"):
        bound = bounds[name]
        if bound is None:
            return f"{_NAMES[name]} could not be fitted"
        if name == "token_lookup" and bound.lower <= 0:
            return f"not shown to beat a token lookup: ahead by {_by(bound)}"
        if name != "token_lookup" and bound.lower <= -margin:
            return (
                f"not shown to keep up with {_NAMES[name]}: ahead by {_by(bound)}, "
                f"margin {margin:g}"
            )
    return None


def _by(bound: Bounds, sign: int = 1) -> str:
    low, high = sorted((sign * bound.lower, sign * bound.upper))
    return f"{sign * bound.value:.3f} (interval {low:.3f} to {high:.3f})"
