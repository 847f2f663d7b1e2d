"""What a verdict measured, in words for somebody who has just been woken."""

from typing import Final

from app.reports.words import interval, number, percent, quantity, scale_of

_SCALE = "0: the same, 1: nothing in common, 2: opposite"
_SAID: Final = {
    "rate": "it fires {} as often",
    "magnitude": "where it fires, it does so {} as strongly",
    "scale": "its values spread {} as widely",
    "identity_sparse": "{} of the tokens that it fires on, before or now, are not the same",
    "strength": "how strongly it fires at each token disagrees with the baseline by {} "
    f"({_SCALE})",
    "identity_dense": "its values disagree with the baseline's, token by token, by {} "
    f"({_SCALE})",
    "shift": "its mean has moved by {} standard deviations",
    "concept": "how well it tells its concept from the rest (AUROC) has changed by {}",
    "robustness": "it has lost {} of its agreement between documents and their variants",
}
WHAT: Final = {
    "rate": "how often it fires",
    "magnitude": "how strongly it fires",
    "scale": "the spread of its values",
    "identity_sparse": "which tokens it fires on",
    "strength": "which tokens it fires strongly on",
    "identity_dense": "its value at each token",
    "shift": "its mean",
    "concept": "how well it tells its concept",
    "robustness": "how well it holds up on varied documents",
}
"""What each estimand looks at, in a few words."""


def change_in_words(
    estimand: str, effect: float, lower: float | None, upper: float | None, margin: float
) -> str:
    """A clause about `it`: what changed, by how much, and how far that is beyond the margin.

    Args:
        effect, lower, upper, margin: as a verdict has them; logarithms for ratios.
    """
    shares, logs = estimand == "identity_sparse", scale_of(estimand) == "log_ratio"

    def said(value: float | None) -> str:
        return percent(value) if shares else quantity(value, scale_of(estimand))

    clause = _SAID.get(estimand, f"{estimand} is {{}}").format(said(effect))
    between = "" if lower is None or upper is None else f"interval {said(lower)} to {said(upper)}"
    if abs(effect) <= margin:
        return f"{clause} ({between + '; ' if between else ''}margin {said(margin)})"
    passed = (
        f"beyond the margin of {said(margin)} either way"
        if logs
        else f"{number(abs(effect) / margin)} times the margin of {said(margin)}"
        if margin > 0
        else "where the margin is 0"
    )
    return f"{clause}, {passed}{f' ({between})' if between else ''}"


def figures(
    estimand: str | None,
    effect: float,
    lower: float | None,
    upper: float | None,
    margin: float | None,
) -> str:
    """`its value at each token: identity_dense 0.41 [0.28, 0.54], margin 0.1`, for a table."""
    name = estimand or "effect"
    scale = scale_of(name)
    what = f"{WHAT[name]}: " if name in WHAT else ""
    between = interval(lower, upper, scale).replace(" to ", ", ")
    inside = f" [{between}]" if lower is not None and upper is not None else ""
    allowed = "" if margin is None else f", margin {quantity(margin, scale)}"
    return f"{what}{name} {quantity(effect, scale)}{inside}{allowed}"
