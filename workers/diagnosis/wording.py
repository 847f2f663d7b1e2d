"""Diagnoses in one sentence each, with the figures that they rest on."""

from workers.diagnosis.correlation import Correlation
from workers.diagnosis.recovery import RANDOMISED, Recovery
from workers.diagnosis.trials import Trial
from workers.drift.reasons import describe

_IDENTITY = ("identity_sparse", "identity_dense")


def evidence(trial: Trial, name: str) -> str:
    """How close to the baseline a feature came, on held-out documents."""
    row = trial.verdict(name)
    for estimand in _IDENTITY:
        found = row.estimates.get(estimand)  # type: ignore[call-overload]
        if found is not None:
            return (
                f"identity changes by {found.effect:.3f} [{found.lower:.3f}, {found.upper:.3f}], "
                f"margin {found.margin:.2g}, in {row.g_active} documents"
            )
    return f"no identity can be told in {row.g_active} documents"


def only_other_alarms(trial: Trial, name: str) -> str:
    """A probe that went blind, or cries wolf, at the few tokens above its threshold."""
    rate = describe("rate", trial.verdict(name).estimates["rate"], 1 - trial.policy.alpha)
    return (
        "Its values are what they were, but for the tokens above its threshold: "
        f"{rate}. Scales, maps and read-outs are judged by all values and would not bring these "
        "back."
    )


def interval(found: Correlation, at: int) -> str:
    """A correlation with its interval."""
    return f"{found.point[at]:.2f} [{found.lower[at]:.2f}, {found.upper[at]:.2f}]"


def rescaled_site(site: str, factor: float, held_out: str) -> str:
    """The whole site was scaled."""
    return (
        f"Activations at {site} are {1 / factor:.3g} times the baseline's; divided by that, the "
        f"frozen feature is equivalent to the baseline's on held-out documents: {held_out}."
    )


def rescaled_value(factor: float, held_out: str) -> str:
    """The feature's own value was scaled."""
    return (
        f"The feature's own value is {1 / factor:.3g} times the baseline's; divided by that, it is "
        f"equivalent on held-out documents: {held_out}."
    )


def rotated(site: str, kind: str, held_out: str) -> str:
    """The site's coordinates changed."""
    way = "a rotation" if kind == "procrustes" else "a linear (ridge) map"
    return (
        f"After {way} of {site}, fitted without labels on other documents, the frozen feature is "
        f"equivalent to the baseline's: {held_out}."
    )


def moved(what: str, old: int, new: int, held_out: str) -> str:
    """Another latent or neuron has taken its place."""
    return (
        f"{what.capitalize()} {new} now does what {what} {old} did: chosen on half of the "
        f"documents, it is equivalent on the others: {held_out}."
    )


def beside(recovery: Recovery, at: int) -> str | None:
    """The better null and its correlation; None where there is none."""
    null = recovery.null
    if null is None:
        return None
    way = (
        "the same refit on a randomised model"
        if null.names[at] == RANDOMISED
        else "a lookup of the token"
    )
    return f"the {interval(null.r, at)} of {way}"


def of_the_site(recovery: Recovery, at: int, r: str, null: str) -> str:
    """Why a feature that the tokens tell as well counts as rotated."""
    return (
        f"It is no evidence that the map is more than a reading of tokens, beside "
        f"{beside(recovery, at)}; the site as a whole is: mixtures of its mapped coordinates "
        f"correlate {r} with the baseline's, {null} without a trained model."
    )


def carried(by: str, r: str, null: str | None) -> str:
    """Another read-out carries it."""
    return (
        f"The frozen read-out fails even after realignment, but {by} carries the feature on "
        f"held-out documents: correlation {r} with the baseline's values, surely beyond {null}."
    )


def lost(site: str, r: str, null: str | None) -> str:
    """Nothing at the site tells it any more."""
    other = "" if null is None else f", beside {null}"
    return (
        f"No read-out at {site} recovers it: the refitted one correlates {r} with the baseline's "
        f"values on held-out documents{other}."
    )


def no_more(site: str, r: str, null: str | None) -> str:
    """The site tells no more of it than the tokens."""
    return (
        f"Nothing beyond the tokens is shown to be left of it at {site}: the refitted read-out "
        f"correlates {r} with the baseline's values on held-out documents, surely no better than "
        f"{null}."
    )


def only_tokens(site: str, r: str, null: str | None) -> str:
    """The site tells as much of it as the tokens do, and it was hardly more."""
    return (
        f"It can still be read at {site}, but no better than from the tokens alone: the refitted "
        f"read-out correlates {r} with the baseline's values on held-out documents, beside {null}."
    )


def stale(dictionary: str, gate: str, r: str) -> str:
    """The dictionary no longer describes its site."""
    return (
        f"Dictionary {dictionary!r} has left its gate, {gate}, also after realignment, while a "
        f"refitted read-out still recovers the feature (correlation {r}): the dictionary needs "
        "training on this checkpoint."
    )


def few(documents: int, needed: int, like: str | None) -> str:
    """Too few documents to tell."""
    hint = "" if like is None else f" The estimates are consistent with {like}."
    return (
        f"The baseline is on in {documents} documents of the activation sample, {needed} are "
        f"needed for a diagnosis; keep more activation tokens.{hint}"
    )
