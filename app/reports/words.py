"""The words and numbers of a report: what estimands, controls, labels and sources mean."""

from collections.abc import Iterable, Mapping
from math import exp
from typing import Final, Literal

Scale = Literal["log_ratio", "plain"]

LOG_RATIOS: Final = frozenset({"rate", "magnitude", "scale"})
ESTIMANDS: Final[Mapping[str, str]] = {
    "rate": "how often it is on: ratio of firing rates",
    "magnitude": "how strongly it fires where both sides do: ratio of activations",
    "identity_sparse": "share of its tokens that the two sides do not share (1 − Jaccard)",
    "strength": "whether it fires strongly on the same tokens (1 − concordance)",
    "shift": "change of the mean, in standard deviations of the baseline",
    "scale": "ratio of standard deviations",
    "identity_dense": "disagreement of values, token by token (1 − concordance)",
    "concept": "change of the AUROC on its concept",
    "robustness": "loss of agreement between documents and their variants",
}
CONTROLS: Final[Mapping[str, str]] = {
    "no_op": "The same weights are loaded and captured again: all values must be equal.",
    "numerics": "The same weights in another dtype, batch shape and attention kernel: this sets "
    "the noise floor, and no feature may move by many margins.",
    "randomised_model": "Fresh weights: every feature must be found to drift.",
    "random_features": "Random read-outs of the same site: the feature must read its concept "
    "better than these do.",
    "permuted_labels": "Labels shifted along the tokens: nothing may read them.",
    "shuffled_pairing": "Each token paired with a distant one: agreement must collapse.",
}
DIAGNOSES: Final[Mapping[str, str]] = {
    "rescaled": "It reads the same, on another scale.",
    "rotated": "It is still there, in another direction of the activations.",
    "relocated": "Another latent, neuron or read-out of the site carries it now.",
    "lost": "No linear read-out of the site recovers it.",
    "dictionary_stale": "The site still carries it; the dictionary no longer describes the site.",
    "unexplained": "None of the known reasons could be shown.",
}
CARRIED: Final = frozenset({"rescaled", "rotated", "relocated"})
"""Diagnoses that say that the site still carries the feature."""
MISSING: Final = frozenset({"lost", "dictionary_stale", "unexplained"})
NULL_UPDATES: Final[Mapping[str, str]] = {
    "numerics_dtype": "the same weights in another dtype",
    "numerics_batch": "the same weights in other batch shapes",
    "numerics_attention": "the same weights with another attention kernel",
}
VERDICTS: Final[Mapping[str, str]] = {
    "drifted": "it changed by more than a margin, beyond doubt",
    "stable": "it is shown to have changed by less than every margin",
    "inconclusive": "neither could be shown",
    "insufficient": "it is active in too few documents to be judged",
    "untrusted": "one of its controls failed, so that its numbers prove nothing",
    "invalid": "what it is read from cannot be compared",
}
COUNTED: Final[Mapping[str, tuple[str, str]]] = {
    "drifted": ("has drifted", "have drifted"),
    "untrusted": ("is untrusted", "are untrusted"),
    "inconclusive": ("is inconclusive", "are inconclusive"),
    "insufficient": ("is insufficient", "are insufficient"),
    "invalid": ("is invalid", "are invalid"),
    "stable": ("is shown to be stable", "are shown to be stable"),
}
"""What is said of one feature and of several, in the order in which they are counted."""
TERMS: Final[Mapping[str, str]] = {
    "effect": "how much an estimand changed from the baseline to this checkpoint; ratios are "
    "written ×1.25",
    "interval": "where the true effect lies at the policy's level of confidence, documents taken "
    "as the unit",
    "margin": "the smallest change that counts: the policy's, or what null updates alone do, "
    "whichever is larger; an effect “in margins” counts beyond 1",
    "q": "the expected share of false claims in a list that is cut off at this feature",
    "pages": "simultaneous intervals lie beyond a margin, so that someone is woken; how often "
    "that may be wrong is bounded",
    "slow drift": "many small steps, none of which counts alone, have added up",
    "drift score": "0 is what null updates do, 1 is no better than random weights",
    "AUROC": "how well it tells its concept's tokens from others: 0.5 is chance, 1 is perfect",
}
VERDICT_SIGNS: Final[Mapping[str, str]] = {
    "drifted": "▲",
    "stable": "●",
    "inconclusive": "◐",
    "insufficient": "○",
    "untrusted": "✖",
    "invalid": "■",
}
BASELINES: Final[Mapping[str, str]] = {
    "probe": "refitted linear probe",
    "difference_of_means": "difference of means",
    "token_lookup": "token lookup",
}
_FLOOR = "noise_floor:"
_BENIGN = "benign:"


def margin_meaning(source: str) -> str:
    """Where a margin came from, in words."""
    if not source.startswith(_FLOOR):
        return "the monitor's policy" if source == "policy" else source
    update = source.removeprefix(_FLOOR)
    if update.startswith(_BENIGN):
        return f"noise floor: checkpoint {update.removeprefix(_BENIGN)!r}, marked benign"
    return f"noise floor: {NULL_UPDATES.get(update, update)}"


def glossary(estimands: Iterable[str], verdicts: Iterable[str]) -> list[tuple[str, str]]:
    """What the words of a report mean: the verdicts and estimands that occur, then the terms."""
    found, measured = set(verdicts), set(estimands)
    return [
        *((word, meaning) for word, meaning in VERDICTS.items() if word in found),
        *(
            (word.replace("_", " "), meaning)
            for word, meaning in ESTIMANDS.items()
            if word in measured
        ),
        *TERMS.items(),
    ]


def scale_of(estimand: str) -> Scale:
    """On which scale its numbers are stored."""
    return "log_ratio" if estimand in LOG_RATIOS else "plain"


def number(value: float | None, digits: int = 3) -> str:
    """Some significant digits, with a true minus; `–` where there is none."""
    if value is None:
        return "–"
    text = f"{value:.{digits}g}"
    if "e" in text and 1e-3 <= abs(value) < 1e6:
        text = f"{value:,.0f}" if abs(value) >= 1 else f"{value:.{digits + 2}f}"
    return text.replace("-", "−")


def quantity(value: float | None, scale: str) -> str:
    """An effect, bound or margin as a person reads it: ratios for logarithms of ratios."""
    if value is None:
        return "–"
    if scale == "plain":
        return number(value)
    # Beyond a million either way a ratio says no more than that.
    return f"×{number(exp(max(-14.0, min(14.0, value))))}"


def interval(lower: float | None, upper: float | None, scale: str = "plain") -> str:
    """`0.35 to 0.47`, or `–`."""
    if lower is None or upper is None:
        return "–"
    return f"{quantity(lower, scale)} to {quantity(upper, scale)}"


def probability(value: float | None) -> str:
    """A p or q value; no test is as sure of itself as the smallest floats would have it."""
    return "below 1e−12" if value is not None and value < 1e-12 else number(value)


def percent(value: float | None) -> str:
    """A share, in per cent, in up to three significant digits."""
    return "–" if value is None else f"{number(100 * value)}%"


def count(n: int, noun: str, plural: str | None = None) -> str:
    """`1 feature`, `12 features`."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def listing(names: Iterable[str], limit: int = 8, total: int = 0) -> str:
    """`'a', 'b' and 3 more`.

    Args:
        total: how many there are, where not all of them have a name here.
    """
    every = [repr(name) for name in names]
    if not every:
        return ""
    more = max(total, len(every)) - min(limit, len(every))
    if more:
        return f"{', '.join(every[:limit])} and {more:,} more"
    return every[0] if len(every) == 1 else f"{', '.join(every[:-1])} and {every[-1]}"


def cut(text: str, longest: int) -> str:
    """The text, or its beginning where it has more characters than that."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def verb(n: int, one: str, several: str) -> str:
    """The form of a verb for that many."""
    return one if n == 1 else several
