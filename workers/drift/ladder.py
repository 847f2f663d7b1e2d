"""The verdict ladder: the first rung that applies."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil, log2
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from workers.drift.activity import Activity
from workers.drift.estimands import Estimates
from workers.drift.inference import Inference, infer
from workers.drift.multiplicity import benjamini_hochberg, holm
from workers.drift.policy import ESTIMANDS, OPTIONAL, Estimand, Policy, firing_stratum
from workers.drift.verdicts import VerdictTable

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Blocked:
    """A verdict that holds whatever the numbers say: a control or a check failed."""

    verdict: Literal["untrusted", "invalid"]
    reason: str


@dataclass(frozen=True)
class ConceptAuroc:
    """AUROC of the features that are tied to a concept; [features], NaN for the others."""

    baseline: Array
    candidate: Array


def judge(
    names: tuple[str, ...],
    activity: Activity,
    estimates: Mapping[Estimand, tuple[NDArray[np.intp], Estimates]],
    policy: Policy,
    *,
    auroc: ConceptAuroc | None = None,
    blocked: Mapping[str, Blocked] | None = None,
) -> VerdictTable:
    """Verdicts of all features of one comparison, which is one family of tests.

    Order: `invalid` and `untrusted` as given; `insufficient` with too few active documents, unless
    the feature died or was born beyond doubt; `drifted`; `stable`; `inconclusive`.

    Args:
        names: of the features.
        activity: their counts.
        estimates: by estimand, the positions of the features it applies to, and their estimates.
        auroc: values to report; the difference is the estimand `concept`.
        blocked: verdicts given from outside, by feature.
    """
    blocked = {n: b for n, b in (blocked or {}).items() if n in set(names)}
    features = len(names)
    stratum = firing_stratum((activity.firing_a + activity.firing_b) / 2, activity.dense)
    inference = {
        e: _spread(infer(e, found, policy, stratum[where]), where, features)
        for e, (where, found) in estimates.items()
    }
    given = np.array([blocked[n].verdict if n in blocked else "" for n in names], dtype="<U12")
    open_ = given == ""
    enough = activity.active_clusters >= policy.min_active_documents
    gone = activity.dead | activity.born

    p, stable_p, excess = _matrices(inference, estimates, features)
    adjusted = holm(p)
    # A dead feature is never both on, so that its magnitude cannot be told and it is not stable.
    p_drifted = np.where(gone, activity.sign_test_p, _reduce(np.fmin, adjusted))
    p_stable = _reduce(np.fmax, stable_p)

    # A feature in so few documents that no outcome of the sign test could be significant is no
    # test at all (Tarone 1990); one that could have turned out dead or born is one, even if not.
    decidable = activity.active_clusters >= ceil(1 - log2(policy.q))
    family = open_ & (enough | (decidable & ~activity.dense))
    in_family = np.where(enough | gone, np.nan_to_num(p_drifted, nan=1.0), 1.0)
    q_drifted = benjamini_hochberg(np.where(family, in_family, np.nan))
    q_stable = benjamini_hochberg(np.where(open_ & enough, p_stable, np.nan))

    drifted = family & (enough | gone) & (q_drifted <= policy.q)
    stable = open_ & enough & ~drifted & (q_stable <= policy.q)
    verdict = np.select(
        [~open_, drifted, ~enough, stable],
        [given, "drifted", "insufficient", "stable"],
        default="inconclusive",
    )
    # Within a feature found to drift, estimands are tested at the level that selected it
    # (Benjamini and Bogomolov 2014).
    level = policy.q * drifted.sum() / max(int(family.sum()), 1)
    changed = drifted[:, None] & (adjusted <= level)
    return VerdictTable(
        names=names,
        verdict=verdict,
        leading=_leading(drifted, adjusted, p, stable_p, excess),
        changed=changed,
        activity=activity,
        inference=inference,
        p_drifted=p_drifted,
        p_stable=p_stable,
        q_drifted=q_drifted,
        q_stable=q_stable,
        auroc_a=auroc.baseline if auroc else np.full(features, np.nan),
        auroc_b=auroc.candidate if auroc else np.full(features, np.nan),
        enough=enough,
        given_reasons={n: b.reason for n, b in blocked.items()},
        confidence=1 - policy.alpha,
    )


def _spread(found: Inference, where: NDArray[np.intp], features: int) -> Inference:
    """From the features an estimand applies to, to all of them."""

    def spread(values: NDArray, missing: float | str) -> NDArray:
        result = np.full(features, missing, dtype=values.dtype)
        result[where] = values
        return result

    return replace(
        found,
        **{
            name: spread(getattr(found, name), np.nan)
            for name in ("effect", "lower", "upper", "se", "df", "margin", "point", "point_se")
        },
        margin_source=spread(found.margin_source, ""),
        p_drifted=spread(found.p_drifted, 1.0),
        p_stable=spread(found.p_stable, 1.0),
    )


def _matrices(
    inference: Mapping[Estimand, Inference],
    estimates: Mapping[Estimand, tuple[NDArray[np.intp], Estimates]],
    features: int,
) -> tuple[Array, Array, Array]:
    """[features, estimands] p of drift, p of stability, and effect in margins; NaN: not tested."""
    p, stable_p, excess = (np.full((features, len(ESTIMANDS)), np.nan) for _ in range(3))
    for estimand, found in inference.items():
        column, known = ESTIMANDS.index(estimand), found.known
        p[known, column] = found.p_drifted[known]
        excess[known, column] = np.abs(found.effect / found.margin)[known]
        # What applies but cannot be told cannot be called stable; a concept may lack labels, a
        # corpus variants on which the feature is active, and strengths tokens to compare.
        applies = known.copy()
        if estimand not in OPTIONAL:
            applies[estimates[estimand][0]] = True
        stable_p[applies, column] = found.p_stable[applies]
    return p, stable_p, excess


def _reduce(function: np.ufunc, values: Array) -> Array:
    """Over the estimands that were tested; NaN where none was."""
    return np.asarray(function.reduce(values, axis=1), dtype=np.float64)


def _leading(
    drifted: NDArray[np.bool_], adjusted: Array, p: Array, stable_p: Array, excess: Array
) -> NDArray[np.intp]:
    """The surest change of a drifted feature; else what is least shown to be stable."""
    known = np.isfinite(p)
    surest = np.where(known, adjusted, np.inf)
    surest = np.where(surest == surest.min(1, keepdims=True), np.nan_to_num(excess), -1.0)
    # Exact ties of p (both 0) go to the larger effect.
    doubtful = np.where(known, stable_p, -np.inf)
    doubtful = np.where(doubtful == doubtful.max(1, keepdims=True), np.nan_to_num(excess), -1.0)
    choice = np.where(drifted, surest.argmax(1), doubtful.argmax(1))
    return np.where(known.any(1), choice, -1)
