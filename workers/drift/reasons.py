"""The sentence beside a verdict: what was seen, in words and numbers, for a person."""

from dataclasses import replace
from math import exp

from workers.drift.policy import Estimand
from workers.drift.records import Estimate, FeatureVerdict


def with_reason(row: FeatureVerdict, confidence: float) -> FeatureVerdict:
    """The row with its sentence."""
    return replace(row, reason=_sentence(row, confidence))


def _sentence(row: FeatureVerdict, confidence: float) -> str:
    documents = f"{row.g_active} active documents"
    lead = row.estimates.get(row.estimand) if row.estimand else None
    if row.change == "dead":
        return (
            f"Fired in {row.g_active} documents at the baseline "
            f"({_percent(row.firing_ratio_baseline)} of tokens) and in none now "
            f"(exact sign test p = {_p(row.sign_test_p)})."
        )
    if row.change == "born":
        return (
            f"Never fired at the baseline and fires in {row.g_active} documents now "
            f"({_percent(row.firing_ratio_candidate)} of tokens; "
            f"exact sign test p = {_p(row.sign_test_p)})."
        )
    if row.verdict == "insufficient":
        if row.g_active == 0:
            return f"Fires on none of the {row.n_tokens} tokens, on either side."
        return (
            f"Only {documents} of {row.n_documents}: too few to judge "
            f"(exact sign test over discordant documents p = {_p(row.sign_test_p)})."
        )
    if lead is None or row.estimand is None:
        return f"No effect could be estimated from {documents}: the values have no spread."
    if row.verdict == "stable" and all(e.effect == 0 and e.se == 0 for e in row.estimates.values()):
        return f"Equals the baseline bit for bit on all {row.n_tokens} tokens ({documents})."
    effect = describe(row.estimand, lead, confidence)
    if row.verdict == "drifted":
        return f"{effect}, beyond the margin ({documents}, q = {_p(row.q_drifted)})."
    if row.verdict == "stable":
        return (
            f"All {len(row.estimates)} effects lie within their margins; nearest: {effect} "
            f"({documents}, q = {_p(row.q_stable)})."
        )
    return (
        f"Neither shown to drift nor shown to be stable: {effect} "
        f"({documents}, q drifted {_p(row.q_drifted)}, q stable {_p(row.q_stable)})."
    )


def describe(estimand: Estimand, e: Estimate, confidence: float) -> str:
    """An estimate in words, with interval and margin."""
    if e.lower is None or e.upper is None:
        return f"{estimand} changed by {e.effect:.3g} (margin {e.margin:.3g})"
    level = f"{confidence:.0%} interval"
    if estimand in ("rate", "magnitude", "scale"):
        what = {
            "rate": "firing rate",
            "magnitude": "activation where both fire",
            "scale": "spread of values",
        }[estimand]
        ratios = [_ratio(exp(x)) for x in (e.effect, e.lower, e.upper, e.margin)]
        return f"{what} ×{ratios[0]} ({level} ×{ratios[1]} to ×{ratios[2]}; margin ×{ratios[3]})"
    if estimand == "identity_sparse":
        shares = [_percent(x) for x in (e.effect, e.lower, e.upper, e.margin)]
        return (
            f"{shares[0]} of the tokens where it fires are not shared "
            f"({level} {shares[1]} to {shares[2]}; margin {shares[3]})"
        )
    numbers = f"({level} {e.lower:.3g} to {e.upper:.3g}; margin {e.margin:.3g})"
    if estimand == "identity_dense":
        return f"1 − concordance with the baseline is {e.effect:.3g} {numbers}"
    if estimand == "strength":
        return (
            "how strongly it fires on which token agrees less with the baseline: "
            f"1 − concordance is {e.effect:.3g} {numbers}"
        )
    if estimand == "shift":
        return f"mean moved by {e.effect:+.3g} baseline standard deviations {numbers}"
    if estimand == "robustness":
        return (
            f"agreement between documents and their variants changed by {-e.effect:+.3g} "
            f"({level} {-e.upper:.3g} to {-e.lower:.3g}; margin {e.margin:.3g})"
        )
    return f"AUROC on its concept changed by {e.effect:+.3g} {numbers}"


def _ratio(value: float) -> str:
    return f"{value:.2f}" if 0.01 <= value < 100 else f"{value:.1e}"


def _percent(value: float) -> str:
    return f"{100 * value:.3g}%"


def _p(value: float | None) -> str:
    if value is None:
        return "none"
    return f"{value:.2g}" if value >= 1e-12 else "below 1e-12"
